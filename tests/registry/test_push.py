"""Pushing: only what is missing is made and sent, tags stay as they were until all is there, nothing is lost on the way."""

import gzip
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest

from dockertools_py.errors import DockertoolsError
from dockertools_py.registry import transport
from dockertools_py.registry.pushing import Form
from tests.registry.images import digest
from tests.registry.pushing import Client, Made
from tests.registry.served import (
    Fault,
    Handler,
    Request,
    Rules,
    cut_after,
    forgotten,
    redirected,
    served,
    status,
    without_an_answer,
)

SIZE = 3 << 20


def layer(text: str, size: int = 1000) -> bytes:
    return text.encode() + Random(text).randbytes(size)


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """An image of three layers; the second is large, and not one to be compressed."""
    return Made([layer("one"), layer("two", SIZE), layer("three")], tmp_path / "made")


def complete(rules: Rules, tag: str, layers: list[bytes]) -> None:
    """The registry has an image of exactly these layers under the tag."""
    manifest = rules.content.manifest(tag)
    blobs = rules.content.blobs
    assert [gzip.decompress(blobs[entry["digest"]]) for entry in manifest["layers"]] == layers
    for entry in (manifest["config"], *manifest["layers"]):
        assert digest(blobs[entry["digest"]]) == entry["digest"] and len(blobs[entry["digest"]]) == entry["size"]
    config = json.loads(blobs[manifest["config"]["digest"]])
    assert config["rootfs"]["diff_ids"] == [digest(data) for data in layers]


def sent(rules: Rules) -> int:
    """Bytes of blobs that came since this was asked last."""
    count = sum(len(r.body) for r in rules.requests if "/blobs/" in r.path)
    rules.requests.clear()
    return count


def test_all_of_it_and_the_manifest_last(rules: Rules, host: str, made: Made) -> None:
    client = Client([f"http://{host}/team/app:1"])
    pushed = client.push(made)
    complete(rules, "1", list(made.layers))
    assert rules.content.manifests["1"] == rules.content.manifests[pushed["digest"]]
    assert list(made.were_made()) == [0, 1, 2]
    assert (rules.requests[-1].method, rules.requests[-1].path) == ("PUT", "/v2/team/app/manifests/1")
    assert [r.method for r in rules.requests if r.method == "PUT" and "/manifests/" in r.path] == ["PUT"]
    assert set(client.seen.sends) - {"layer 0", "layer 1", "layer 2"} == {
        f"config {rules.content.manifest('1')['config']['digest'][7:19]}"
    }
    assert client.slept == [] and client.said == []


def test_a_fresh_machine_makes_and_sends_what_is_new(rules: Rules, host: str, made: Made, tmp_path: Path) -> None:
    Client([f"http://{host}/team/app:1"]).push(made)
    assert list(made.were_made()) == [0, 1, 2] and sent(rules) > SIZE
    client = Client([f"http://{host}/team/app:1"])
    client.push(made)
    assert list(made.were_made()) == [] and sent(rules) == 0
    assert set(client.seen.skips.values()) == {"there"} and client.seen.sends == {}
    child = Made([*made.layers, layer("new", 5000)], tmp_path / "child")
    Client([f"http://{host}/team/app:2"], reuse=[f"http://{host}/team/app:1"]).push(child)
    assert list(child.were_made()) == [3]
    manifest = rules.content.manifest("2")
    assert sent(rules) == manifest["layers"][3]["size"] + manifest["config"]["size"]
    complete(rules, "2", list(child.layers))


def test_the_tag_itself_is_looked_at(rules: Rules, host: str, made: Made, tmp_path: Path) -> None:
    Client([f"http://{host}/team/app:1"]).push(made)
    child = Made([*made.layers[:2], layer("changed")], tmp_path / "child")
    sent(rules)
    Client([f"http://{host}/team/app:1"]).push(child)
    assert list(child.were_made()) == [2] and sent(rules) < 3000
    complete(rules, "1", list(child.layers))


def test_what_this_machine_pushed_is_remembered(rules: Rules, host: str, made: Made, tmp_path: Path) -> None:
    Client([f"http://{host}/team/app:1"], cache=tmp_path / "cache").push(made)
    assert list(made.were_made()) == [0, 1, 2]
    # No image is there to be looked at any more, but the blobs are.
    rules.content.manifests.clear()
    Client([f"http://{host}/team/app:2"], cache=tmp_path / "cache").push(made)
    assert list(made.were_made()) == []
    rules.content.blobs.clear()
    Client([f"http://{host}/team/app:3"], cache=tmp_path / "cache").push(made)
    assert list(made.were_made()) == [0, 1, 2]
    complete(rules, "3", list(made.layers))


def test_blobs_are_mounted_from_other_repositories(rules: Rules, host: str, made: Made, tmp_path: Path) -> None:
    Client([f"http://{host}/team/base:1"], cache=tmp_path / "cache").push(made)
    list(made.were_made())
    # The test's registry has one set of blobs: those of the other repository are taken out of it.
    rules.mounts = {f"team/base {name}": data for name, data in rules.content.blobs.items()}
    manifests = dict(rules.content.manifests)
    for clue in ({"cache": tmp_path / "cache"}, {"reuse": [f"http://{host}/team/base:1"]}):
        rules.content.blobs.clear()
        config = next(name for name in manifests if ":" in name)
        rules.content.manifests = {"1": manifests["1"], config: manifests[config]} if "reuse" in clue else {}
        config_digest = json.loads(manifests["1"][0])["config"]["digest"]
        rules.content.blobs[config_digest] = rules.mounts[f"team/base {config_digest}"]
        client = Client([f"http://{host}/team/app:9"], **clue)  # type: ignore[arg-type]
        client.push(made)
        assert list(made.were_made()) == []
        assert [client.seen.skips[f"layer {n}"] for n in range(3)] == ["mounted"] * 3
        complete(rules, "9", list(made.layers))


def test_several_names(rules: Rules, host: str, made: Made) -> None:
    other = Rules()
    with served(other) as elsewhere:
        client = Client([f"http://{host}/team/app:1", f"http://{host}/team/app:2", f"http://{elsewhere}/x/app:1"])
        client.push(made)
        assert list(made.were_made()) == [0, 1, 2]
        complete(rules, "1", list(made.layers))
        complete(other, "1", list(made.layers))
        assert rules.content.manifests["1"] == rules.content.manifests["2"] == other.content.manifests["1"]


def test_a_second_registry_gets_what_the_first_has(rules: Rules, host: str, made: Made) -> None:
    """Nothing is made: the blobs are fetched from where they were found."""
    Client([f"http://{host}/team/app:1"]).push(made)
    list(made.were_made())
    other = Rules()
    with served(other) as elsewhere:
        Client([f"http://{host}/team/app:1", f"http://{elsewhere}/x/app:1"]).push(made)
        assert list(made.were_made()) == []
        complete(other, "1", list(made.layers))


@pytest.mark.parametrize("kept", [2 << 20, 100_000])
def test_a_dropped_upload_goes_on_where_it_ended(rules: Rules, host: str, made: Made, kept: int) -> None:
    rules.fail("blobs/uploads/upload1", cut_after(kept))
    client = Client([f"http://{host}/team/app:1"])
    client.push(Made(made.layers[1:2], made.made), cores=1)
    complete(rules, "1", [made.layers[1]])
    assert client.slept == [1] and "again in 1.0 s" in client.said[0]
    (first, rest) = [r for r in rules.requests if r.method in ("PATCH", "PUT") and "upload1" in r.path][:2]
    size = rules.content.manifest("1")["layers"][0]["size"]
    assert first.body == b"" and len(rest.body) == size - kept
    assert list(made.were_made()) == [0]
    # Progress is told by position, so it went back.
    assert max(client.seen.positions) == size and client.seen.positions != sorted(client.seen.positions)


@pytest.mark.parametrize("fault", [forgotten, without_an_answer, status(404), status(416)])
@pytest.mark.parametrize("method", ["", "PUT "])
def test_an_upload_that_is_lost_begins_again(rules: Rules, host: str, made: Made, fault: Fault, method: str) -> None:
    # A layer that is made before its upload begins is sent by PUT, and else by PATCH.
    rules.fail(f"{method}/v2/team/app/blobs/uploads/upload1", fault)
    client = Client([f"http://{host}/team/app:1"])
    client.push(Made(made.layers[1:2], made.made))
    complete(rules, "1", [made.layers[1]])
    assert client.slept == [1] and list(made.were_made()) == [0]


def test_an_answer_that_is_lost_is_no_reason_to_send_again(rules: Rules, host: str, made: Made) -> None:
    def taken_without_a_word(handler: Handler, _: bytes) -> None:
        name = handler.path.partition("?")[0].rpartition("/")[2]
        data = bytes(handler.rules.uploads.pop(name)) + b"".join(handler.body())
        handler.rules.content.blobs[digest(data)] = data
        handler.close_connection = True

    rules.fail("PUT /v2/team/app/blobs/uploads/", taken_without_a_word)
    client = Client([f"http://{host}/team/app:1"])
    client.push(Made(made.layers[1:2], made.made))
    complete(rules, "1", [made.layers[1]])
    assert client.slept == [1]
    large = rules.content.manifest("1")["layers"][0]["size"]
    assert sum(len(r.body) for r in rules.requests) < 2 * large


def test_progress_gives_all_attempts_again(rules: Rules, host: str, made: Made) -> None:
    rules.fail("blobs/uploads/upload1", *[cut_after(1 << 20), status(500)] * 2)
    rules.fail("PUT /v2/team/app/blobs/uploads/upload1", cut_after(1 << 20))
    client = Client([f"http://{host}/team/app:1"])
    client.push(Made(made.layers[1:2], made.made), cores=1)
    complete(rules, "1", [made.layers[1]])


def test_it_ends_some_time_and_the_tag_stays(rules: Rules, host: str, made: Made, tmp_path: Path) -> None:
    Client([f"http://{host}/team/app:1"]).push(made)
    before = rules.content.manifests["1"]
    changed = Made([layer("other")], tmp_path / "changed")
    for part, faults, why in [
        ("POST /v2/team/app/blobs/uploads/", [status(500)] * 99, r"layer 0: answers 500; tried 5 times$"),
        ("blobs/uploads/upload", [without_an_answer] * 99, r"layer 0: .*; tried 5 times$"),
        ("PUT /v2/team/app/blobs/uploads/", [status(503)] * 99, r"layer 0: answers 503; tried 5 times$"),
        ("PUT /v2/team/app/manifests/1", [status(429)] * 99, r"manifest 1: answers 429; tried 5 times$"),
        ("PUT /v2/team/app/manifests/1", [status(400)], r"manifest 1: 127.0.0.1 answers 400$"),
        ("blobs/uploads/upload", [status(403)], r"layer 0: not allowed \(403 of 127.0.0.1\)$"),
        ("blobs/uploads/upload", [status(413)], r"layer 0: too large for the registry or a .*: send it in pieces, --chunk"),
        ("POST /v2/team/app/blobs/uploads/", [status(404)], r"layer 0: no such repository: make it first \(404 of"),
        ("POST /v2/team/app/blobs/uploads/", [status(202)], r"layer 0: the registry does not say where to send it \(no Loc"),
        ("PUT /v2/team/app/manifests/1", [status(201, Docker_Content_Digest="sha256:0")], r"has it as sha256:0, but it is sha"),
        ("HEAD ", [status(418)] * 9, r"blob sha256:[0-9a-f]{64}: 127.0.0.1 answers 418$"),
    ]:  # fmt: skip
        rules.faults.clear()
        rules.fail(part, *faults)
        pushed = made if part == "HEAD " else changed
        with pytest.raises(DockertoolsError, match=why):
            Client([f"http://{host}/team/app:1"]).push(pushed)
        assert rules.content.manifests["1"] == before, part


def test_a_registry_that_says_when(rules: Rules, host: str, made: Made) -> None:
    rules.fail("POST ", status(429, Retry_After="7"))
    rules.fail("PUT /v2/team/app/manifests/", status(503, Retry_After="3"))
    client = Client([f"http://{host}/team/app:1"])
    client.push(made)
    assert sorted(client.slept) == [3, 7]


def test_bytes_that_the_registry_finds_wrong(rules: Rules, host: str, made: Made) -> None:
    rules.fail("PUT /v2/team/app/blobs/uploads/", status(400))
    with pytest.raises(DockertoolsError, match=r"^http://.*/team/app: layer \d: 127.0.0.1 answers 400$"):
        Client([f"http://{host}/team/app:1"]).push(made)
    assert "1" not in rules.content.manifests


def test_a_layer_that_cannot_be_made(rules: Rules, host: str, made: Made, tmp_path: Path) -> None:
    class Broken(Made):
        def make(self, number: int, threads: int) -> Iterator[bytes]:  # type: ignore[override]
            yield from super().make(number, threads)
            raise DockertoolsError("layer 0: changed since then")

    with pytest.raises(DockertoolsError, match=r"^layer 0: changed since then$"):
        Client([f"http://{host}/team/app:1"]).push(Broken([layer("one", SIZE)], tmp_path / "made"))
    assert not rules.content.manifests and not rules.content.blobs


def test_it_is_sent_while_it_is_made(rules: Rules, host: str, made: Made, tmp_path: Path) -> None:
    """The second half is made when the first one has come."""
    arrived = tmp_path / "arrived"

    class Waiting(Made):
        def make(self, number: int, threads: int) -> Iterator[bytes]:  # type: ignore[override]
            data = gzip.compress(self.layers[number], mtime=0)
            yield data[: 2 << 20]
            for _ in range(6000):
                if arrived.exists():
                    break
                time.sleep(0.01)
            else:
                raise RuntimeError("nobody wanted the first half")
            yield data[2 << 20 :]

    def half(handler: Handler, _: bytes) -> None:
        come = b""
        for data in handler.body():
            come += data
            if len(come) >= 2 << 20:
                arrived.touch()
        handler.rules.uploads["upload1"] += come
        handler.send(202, {"Location": "/v2/team/app/blobs/uploads/upload1", "Range": f"0-{len(come) - 1}"}, b"")

    rules.fail("PATCH /v2/team/app/blobs/uploads/upload1", half)
    Client([f"http://{host}/team/app:1"]).push(Waiting(made.layers[1:2], made.made))
    complete(rules, "1", [made.layers[1]])
    assert arrived.exists()


def test_in_pieces(rules: Rules, host: str, made: Made) -> None:
    client = Client([f"http://{host}/team/app:1"], chunk=1 << 20)
    client.push(made)
    complete(rules, "1", list(made.layers))
    assert max(len(r.body) for r in rules.requests) == 1 << 20
    ranges = [r.headers["Content-Range"] for r in rules.requests if r.method == "PATCH" and len(r.body) == 1 << 20]
    assert ranges == [f"{n << 20}-{((n + 1) << 20) - 1}" for n in range(3)]


def test_a_piece_that_is_lost(rules: Rules, host: str, made: Made) -> None:
    rules.fail("PATCH ", cut_after(500_000), status(502), cut_after(1 << 20))
    client = Client([f"http://{host}/team/app:1"], chunk=1 << 20)
    client.push(Made(made.layers[1:2], made.made))
    complete(rules, "1", [made.layers[1]])
    assert client.slept == [1, 2, 4]


def test_another_host_gets_the_blob_and_no_credentials(rules: Rules, host: str, made: Made) -> None:
    """The registry sends uploads to storage, by Location and by a redirect of the body."""
    rules.basic = ("user", "secret")
    storage = Rules()
    environment = {"DOCKER_AUTH_CONFIG": json.dumps({"auths": {host: {"username": "user", "password": "secret"}}})}
    with served(storage) as elsewhere:
        storage.uploads = {f"upload{n}": bytearray() for n in range(9)}

        def begun(handler: Handler, _: bytes) -> None:
            handler.send(202, {"Location": f"http://{elsewhere}/v2/x/blobs/uploads/upload7"}, b"")

        def moved(handler: Handler, _: bytes) -> None:
            # A small layer may be made before it is sent: then it comes at once, by a PUT with its digest.
            query = handler.path.partition("?")[2]
            handler.send(307, {"Location": f"http://{elsewhere}/v2/x/blobs/uploads/upload8?{query}"}, b"")

        rules.fail("POST /v2/", begun)
        rules.fail("blobs/uploads/upload1", moved)
        rules.fail("PUT /v2/team/app/manifests/1", redirected(f"http://{host}/v2/team/app/manifests/1"))
        Client([f"http://{host}/team/app:1"], environment).push(Made(made.layers[:2], made.made), cores=1)
        assert len([r for r in storage.requests if r.body]) >= 2
        assert not any("Authorization" in r.headers for r in storage.requests)
        assert "1" in rules.content.manifests
        assert len(storage.content.blobs) == 2


@pytest.mark.parametrize("sends", ["Location", "redirect"])
def test_never_from_tls_to_plain_http(rules: Rules, made: Made, authority: tuple[Path, Path], sends: str) -> None:
    """Each has a registry of its own: the other uploads of a push that failed go on, and would take the next fault."""
    leaking = Rules()
    with served(rules, authority[1]) as host, served(leaking) as plain:
        upload = f"http://{plain}/v2/x/blobs/uploads/upload7?secret"
        rules.fail(
            "POST /v2/",
            redirected(upload) if sends == "redirect" else lambda handler, _: handler.send(202, {"Location": upload}, b""),
        )
        with pytest.raises(DockertoolsError, match=r": leads to 127.0.0.1 without TLS: refused$"):
            Client([f"{host}/team/app:1"], {"SSL_CERT_FILE": str(authority[0])}).push(made)
        assert not leaking.requests and not rules.content.manifests


def test_tokens_that_end_in_the_middle(rules: Rules, made: Made) -> None:
    """A token server gives one for a repository and what is done there; each is good for a few requests."""
    given: list[Request] = []

    def token(request: Request) -> tuple[int, dict[str, str], bytes]:
        given.append(request)
        rules.tokens = {f"token{len(given)}"}
        return 200, {}, json.dumps({"token": f"token{len(given)}"}).encode()

    with served(Rules(answer=token)) as server, served(rules) as host:
        rules.realm = f"http://{server}/token"

        def ended(handler: Handler, _: bytes) -> None:
            handler.rules.tokens = set()
            challenge = f'Bearer realm="{handler.rules.realm}",service="here"'
            handler.send(401, {"WWW-Authenticate": challenge}, b"")

        rules.fail("blobs/uploads/upload1", ended)
        rules.fail("PUT /v2/team/app/manifests/", ended)
        environment = {"DOCKER_AUTH_CONFIG": json.dumps({"auths": {host: {"username": "user", "password": "secret"}}})}
        Client([f"http://{host}/team/app:1"], environment).push(Made(made.layers[1:2], made.made), cores=1)
        complete(rules, "1", [made.layers[1]])
        assert {tuple(r.query["scope"]) for r in given} == {("repository:team/app:pull,push",)}
        assert len(given) >= 3
        rules.mounts = {f"team/base {name}": data for name, data in rules.content.blobs.items()}
        rules.content.blobs.clear()
        given.clear()
        config = rules.content.manifest("1")["config"]["digest"]
        rules.content.blobs[config] = rules.mounts[f"team/base {config}"]
        Client([f"http://{host}/team/app:1"], environment, reuse=[f"http://{host}/team/base:1"]).push(
            Made(made.layers[1:2], made.made)
        )
        assert ("repository:team/app:pull,push", "repository:team/base:pull") in {
            tuple(r.query["scope"]) for r in given
        }


def test_connections_are_used_again(made: Made) -> None:
    rules = Rules(keeps=True)
    with served(rules) as host:
        Client([f"http://{host}/team/app:1"]).push(made)
        assert len(rules.requests) > 10 > rules.connections
        before = rules.connections
        client = Client([f"http://{host}/team/app:1"])
        client.push(made)
        rules.connections = before
        # The server has closed those that were kept: a second one is no failure.
        for kept in [c for idle in client.session._transport._idle.values() for c in idle]:
            kept.sock.shutdown(2)
        client.push(made)
        assert client.slept == []


def test_credentials_that_are_damaged_are_said_once(rules: Rules, host: str, made: Made) -> None:
    rules.basic = ("user", "letters")
    client = Client([f"http://{host}/team/app:1"], {"DOCKER_AUTH_CONFIG": "{"})
    with pytest.raises(DockertoolsError, match=r"^DOCKER_AUTH_CONFIG: no JSON object"):
        client.push(made)
    assert client.said == [] and list(made.were_made()) == []


def test_push_by_digest(rules: Rules, host: str, made: Made) -> None:
    pushed = Client([f"http://{host}/team/app:1"]).push(made)
    name = f"http://{host}/team/app@{pushed['digest']}"
    rules.content.manifests.clear()
    Client([name]).push(made)
    assert list(rules.content.manifests) == [pushed["digest"]]
    other = f"http://{host}/team/app:1@sha256:{'0' * 64}"
    with pytest.raises(
        DockertoolsError, match=rf"^http://{host}/team/app: the image has the digest sha256:.*, but sha256:0"
    ):
        Client([other]).push(made)
    assert "1" not in rules.content.manifests


def test_pushing_the_same_at_the_same_time(rules: Rules, host: str, made: Made, tmp_path: Path) -> None:
    def push(number: int) -> str:
        own = Made(made.layers, tmp_path / f"made{number}")
        return str(Client([f"http://{host}/team/app:1"], cache=tmp_path / "cache").push(own)["digest"])

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(push, range(4)))) == 1
    complete(rules, "1", list(made.layers))


def test_media_types_of_docker(rules: Rules, host: str, made: Made, tmp_path: Path) -> None:
    Client([f"http://{host}/team/app:1"]).push(made)
    list(made.were_made())
    Client([f"http://{host}/team/app:1"]).push(made, Form("docker", {"a": "b"}))
    assert list(made.were_made()) == []
    manifest = rules.content.manifest("1")
    assert (
        rules.content.manifests["1"][1]
        == manifest["mediaType"]
        == "application/vnd.docker.distribution.manifest.v2+json"
    )
    assert manifest["config"]["mediaType"] == "application/vnd.docker.container.image.v1+json"
    assert {entry["mediaType"] for entry in manifest["layers"]} == {"application/vnd.docker.image.rootfs.diff.tar.gzip"}
    assert manifest["annotations"] == {"a": "b"}
    complete(rules, "1", list(made.layers))


def test_a_registry_that_stalls(rules: Rules, host: str, made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the body and says nothing more: some time the connection counts as dropped."""
    over = threading.Event()

    def stalled(handler: Handler, _: bytes) -> None:
        over.wait(60)
        handler.close_connection = True

    seconds = 2  # and no less: all other answers have to come in this time
    monkeypatch.setattr(transport, "COMMIT_TIMEOUT", seconds)
    rules.fail("blobs/uploads/upload1", stalled)
    client = Client([f"http://{host}/team/app:1"])
    client.session._transport._timeout = seconds
    client.push(Made(made.layers[:1], made.made))
    over.set()
    complete(rules, "1", [made.layers[0]])
    assert client.slept == [1] and "timed out" in client.said[0]


ANSWERS = [
    lambda r: (
        "Location",
        r.choice(["", "/", "//", "http://", "http://[", "/v2/x?\x01", "/v2/\xe9", "x" * 70_000, "ftp://x/", "?"]),
    ),
    lambda r: (
        "Range",
        r.choice(["0-", "0--1", "0-" + "9" * 30, "0-18446744073709551616", "5-3", "bytes=0-0", "0-2000000"]),
    ),
    lambda r: ("OCI-Chunk-Min-Length", r.choice(["-1", "9" * 12, "9" * 40, "x"])),
    lambda r: ("Retry-After", r.choice(["0", "-1", "1e9", "x", "9" * 400])),
    lambda r: ("Docker-Content-Digest", r.choice(["", "sha256:", "\x00", "sha256:" + "0" * 64])),
    lambda r: (
        "WWW-Authenticate",
        r.choice(["Bearer", "Basic", 'Bearer realm="http://["', 'Bearer realm="/x"', "," * 5000]),
    ),
]
STATUSES = (200, 201, 202, 204, 301, 307, 308, 400, 401, 404, 416, 429, 500)


@pytest.mark.parametrize("seed", range(40))
def test_whatever_a_registry_answers(rules: Rules, host: str, made: Made, seed: int) -> None:
    """It is pushed, and whole, or there is one line that says why: no crash, no endless loop, no tag for a part."""
    random = Random(seed)

    def answered(handler: Handler, _: bytes) -> None:
        list(handler.body())
        headers = dict(random.choice(ANSWERS)(random) for _ in range(random.randrange(3)))
        handler.send_response(random.choice(STATUSES))
        for name, value in headers.items():
            handler.wfile.write(f"{name}: {value}\r\n".encode("latin-1"))
        handler.wfile.write(b"Content-Length: 2\r\n\r\n{}")
        handler.close_connection = True

    for method in ("HEAD", "POST", "PATCH", "PUT", "GET"):
        rules.fail(f"{method} ", *[answered] * random.randrange(4))
    client = Client([f"http://{host}/team/app:1"], chunk=random.choice([None, 1 << 20]))
    try:
        client.push(made)
    except DockertoolsError as error:
        assert "\n" not in str(error) and len(str(error)) < 2000
    if "1" in rules.content.manifests:
        complete(rules, "1", list(made.layers))
    assert len(rules.requests) < 200
