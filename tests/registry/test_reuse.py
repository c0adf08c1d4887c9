"""What stands for a layer that is not sent: what registries claim is hostile, what is remembered may be damaged."""

import gzip
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import pytest

from dockertools_py.model.descriptor import Descriptor
from dockertools_py.model.digest import Digest
from dockertools_py.registry.cache import MAX_BLOBS, MAX_PLACES, Cache
from tests.oracle.image import CONFIG, INDEX, LAYER, MANIFEST, descriptor, encode
from tests.registry.images import digest
from tests.registry.pushing import Client, Made
from tests.registry.served import Rules
from tests.registry.test_push import complete, layer

ONE, TWO = layer("one", 5000), layer("two", 5000)


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made([ONE, TWO], tmp_path / "made")


def claim(rules: Rules, layers: list[tuple[bytes, Any]], tag: str = "1", media_type: str = LAYER + "+gzip") -> None:
    """An image under a tag: pairs of a layer, and the bytes or the descriptor of the blob that is said to hold it."""
    entries = []
    for _, blob in layers:
        if isinstance(blob, bytes):
            rules.content.blobs[digest(blob)] = blob
            entries.append(descriptor(blob, media_type))
        else:
            entries.append(blob)
    config = encode(
        {"architecture": "amd64", "os": "linux", "rootfs": {"diff_ids": [digest(data) for data, _ in layers]}}
    )
    rules.content.blobs[digest(config)] = config
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(config, CONFIG), "layers": entries}
    rules.content.add(encode(manifest), MANIFEST, tag)


def test_a_claim_that_holds(rules: Rules, host: str, made: Made) -> None:
    claim(rules, [(ONE, gzip.compress(ONE)), (TWO, gzip.compress(TWO))])
    client = Client([f"http://{host}/team/app:1"])
    client.push(made)
    assert list(made.were_made()) == [] and client.said == []
    complete(rules, "1", [ONE, TWO])


def test_a_blob_that_is_not_there(rules: Rules, host: str, made: Made) -> None:
    """Or that has another size than is claimed: the layer is made."""
    claim(rules, [(ONE, descriptor(b"gone", LAYER + "+gzip")), (TWO, gzip.compress(TWO))])
    wrong = dict(rules.content.manifest("1"))
    wrong["layers"][1]["size"] += 1
    rules.content.add(encode(wrong), MANIFEST, "1")
    Client([f"http://{host}/team/app:1"]).push(made)
    assert list(made.were_made()) == [0, 1]
    complete(rules, "1", [ONE, TWO])


def hostile() -> dict[str, tuple[bytes, str]]:
    config = encode({"rootfs": {"diff_ids": [digest(ONE)]}})
    good = {"schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(config, CONFIG), "layers": []}
    deep = b"[" * 100_000
    return {
        "no JSON": (b"\xff\xfe", MANIFEST),
        "a list": (b"[]", MANIFEST),
        "deep": (deep, MANIFEST),
        "no config": (encode({"schemaVersion": 2, "mediaType": MANIFEST, "layers": []}), MANIFEST),
        "fewer layers": (encode(good), MANIFEST),
        "many layers": (encode(good | {"layers": [descriptor(b"x", LAYER)] * 1001}), MANIFEST),
        "a huge config": (encode(good | {"config": {**good["config"], "size": 1 << 40}}), MANIFEST),  # type: ignore[dict-item]
        "another type": (encode(good | {"config": {**good["config"], "mediaType": "text/plain"}}), MANIFEST),  # type: ignore[dict-item]
        "other layers": (encode(good | {"layers": [descriptor(b"x", "application/x")]}), MANIFEST),
        "an index of itself": (encode({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}), INDEX),
        "a digest that is none": (
            encode(good | {"layers": [{"mediaType": LAYER, "digest": "../x", "size": 1}]}),
            MANIFEST,
        ),
        "schema 1": (encode({"schemaVersion": 1}), "application/vnd.docker.distribution.manifest.v1+json"),
        "too long": (b" " * (5 << 20), MANIFEST),
    }


@pytest.mark.parametrize("name", hostile())
def test_what_cannot_be_read_is_told_and_left_out(rules: Rules, host: str, made: Made, name: str) -> None:
    data, media_type = hostile()[name]
    config = encode({"rootfs": {"diff_ids": [digest(ONE)]}})
    rules.content.blobs[digest(config)] = config
    rules.content.add(data, media_type, "1")
    client = Client([f"http://{host}/team/app:1"])
    client.push(made)
    assert [line.partition(": ")[0] for line in client.said] == [f"nothing is reused of http://{host}/team/app:1"]
    assert list(made.were_made()) == [0, 1]
    complete(rules, "1", [ONE, TWO])


def test_an_image_that_is_not_there_yet(rules: Rules, host: str, made: Made) -> None:
    """The tag itself may be new; another one that the user named should be there, and need not."""
    client = Client([f"http://{host}/team/app:1"], reuse=[f"http://{host}/team/base:1"])
    client.push(made)
    assert len(client.said) == 1 and "/team/base: manifest 1: no such tag" in client.said[0]


def test_a_lie_is_found_out_by_looking(rules: Rules, host: str, made: Made, tmp_path: Path) -> None:
    """Who may push there can say of any blob that it is a layer: only fetching it tells."""
    lie = gzip.compress(layer("lie", 5000))
    claim(rules, [(ONE, lie), (TWO, gzip.compress(TWO))])
    client = Client(
        [f"http://{host}/team/app:2"], reuse=[f"http://{host}/team/app:1"], is_checked=True, cache=tmp_path / "c"
    )
    client.push(made)
    assert list(made.were_made()) == [0]
    assert [line for line in client.said if line.startswith("not reused: layer 0: not what its image says: sha256:")]
    complete(rules, "2", [ONE, TWO])
    # What was compared once is remembered, and not fetched again.
    rules.requests.clear()
    Client([f"http://{host}/team/app:2"], is_checked=True, cache=tmp_path / "c").push(made)
    assert list(made.were_made()) == []
    config = rules.content.manifest("2")["config"]["digest"]
    assert {r.path.rpartition("/")[2] for r in rules.requests if r.method == "GET" and "/blobs/" in r.path} == {config}
    # Without looking it is believed, of those who may push to a repository that the user named.
    Client([f"http://{host}/team/app:3"], reuse=[f"http://{host}/team/app:1"]).push(made)
    assert rules.content.manifest("3")["layers"][0]["digest"] == digest(lie)


@pytest.mark.parametrize(
    "blob", [gzip.compress(ONE + bytes(1 << 20)), gzip.compress(ONE)[:-9], b"no gzip", gzip.compress(bytes(200 << 20))],
    ids=["longer", "cut", "no gzip", "a bomb"],
)  # fmt: skip
def test_blobs_that_are_no_layers(rules: Rules, host: str, made: Made, blob: bytes) -> None:
    claim(rules, [(ONE, blob), (TWO, gzip.compress(TWO))])
    client = Client([f"http://{host}/team/app:1"], is_checked=True)
    client.push(made)
    assert list(made.were_made()) == [0] and len(client.said) == 1
    complete(rules, "1", [ONE, TWO])


def test_what_was_not_proven_is_not_remembered(rules: Rules, host: str, made: Made, tmp_path: Path) -> None:
    claim(rules, [(ONE, gzip.compress(layer("lie", 5000))), (TWO, gzip.compress(TWO))])
    Client([f"http://{host}/team/app:1"], cache=tmp_path / "cache").push(made)
    assert list((tmp_path / "cache").glob("*")) == []


PLACES = ("one.example/a", "two.example/b")


def blob_of(data: bytes) -> Descriptor:
    return Descriptor(LAYER, Digest.of(data), len(data))


def test_the_cache_remembers_and_is_bounded(tmp_path: Path) -> None:
    cache, diff_id = Cache(tmp_path / "a" / "b"), Digest.of(ONE)
    assert cache.find(diff_id) == ()
    for place in (*PLACES, PLACES[0]):
        cache.add(diff_id, blob_of(b"x"), place)
    (pushed,) = cache.find(diff_id)
    assert pushed.blob == blob_of(b"x") and pushed.places == PLACES
    for number in range(40):
        cache.add(diff_id, blob_of(b"%d" % number), PLACES[0])
        cache.add(diff_id, blob_of(b"x"), f"{number}.example/x")
    found = cache.find(diff_id)
    assert len(found) == MAX_BLOBS and len(found[0].places) == MAX_PLACES and found[0].places[0] == "39.example/x"
    assert [path.name for path in (tmp_path / "a/b").iterdir()] == [f"sha256-{diff_id.hex}.json"]


def test_a_damaged_cache_counts_as_empty(tmp_path: Path) -> None:
    cache, diff_id = Cache(tmp_path), Digest.of(ONE)
    cache.add(diff_id, blob_of(b"x"), PLACES[0])
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    random = Random("damage")
    damaged = [whole[:n] for n in range(len(whole))]
    for _ in range(300):
        copy = bytearray(whole)
        copy[random.randrange(len(copy))] = random.randrange(256)
        damaged.append(bytes(copy))
    damaged += [
        b"[]",
        b"{}",
        b'{"pushed":1}',
        b'{"pushed":[1]}',
        b'{"pushed":[{}]}',
        b'{"pushed":[{"blob":{},"places":1}]}',
    ]
    read = 0
    for data in damaged:
        file.write_bytes(data)
        read += len(cache.find(diff_id))
    assert 0 < read < len(damaged)  # some single bytes change a name only
    cache.add(diff_id, blob_of(b"y"), PLACES[1])
    assert cache.find(diff_id)[0].blob == blob_of(b"y")
    file.unlink()
    file.mkdir()
    assert cache.find(diff_id) == ()
    cache.add(diff_id, blob_of(b"x"), PLACES[0])
    assert [path for path in tmp_path.iterdir() if path.name.endswith(".tmp")] == []


def test_a_cache_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for cache in (Cache(None), Cache(tmp_path / "file" / "x"), Cache.from_environment({})):
        cache.add(Digest.of(ONE), blob_of(b"x"), PLACES[0])
        assert cache.find(Digest.of(ONE)) == ()
    for environment in ({"XDG_CACHE_HOME": str(tmp_path / "x")}, {"HOME": str(tmp_path), "XDG_CACHE_HOME": ""}):
        Cache.from_environment(environment).add(Digest.of(ONE), blob_of(b"x"), PLACES[0])
    assert len(list(tmp_path.glob("x/dockertools-py/pushed/*"))) == 1
    assert len(list(tmp_path.glob(".cache/dockertools-py/pushed/*"))) == 1


def test_several_write_at_once(tmp_path: Path) -> None:
    cache, diff_id = Cache(tmp_path), Digest.of(ONE)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: cache.add(diff_id, blob_of(b"%d" % (n % 4)), f"{n}.example/x"), range(200)))
    (file,) = tmp_path.iterdir()
    json.loads(file.read_bytes())
    assert 1 <= len(cache.find(diff_id)) <= 4
