"""Docker and Podman over HTTP: what each version is asked, sent, and believed."""

import gzip
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from dockertools_py.engines.api import MAX_ANSWER, Api
from dockertools_py.engines.docker import ASKED_ANYWAY, Docker
from dockertools_py.engines.endpoint import Endpoint
from dockertools_py.engines.engine import Wanted
from dockertools_py.engines.record import Record
from dockertools_py.errors import DockertoolsError
from dockertools_py.model.digest import Digest
from dockertools_py.model.image_config import ImageConfig
from dockertools_py.model.platform import Platform
from dockertools_py.pack.image import Image
from dockertools_py.pack.layer import BlobSource, Layer
from tests.engines.fake_docker import KINDS, Hangup, State, fake_docker
from tests.engines.loaded import image, layer, load, wanted
from tests.formats.images import CREATED
from tests.oracle.image import layer_of

CONTAINERD = [name for name, kind in KINDS.items() if kind.by == "blob"]
GRAPH = [name for name, kind in KINDS.items() if kind.by == "chain"]


@pytest.fixture(params=KINDS)
def daemon(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[State, Docker]]:
    with fake_docker(tmp_path, request.param) as (state, url):
        yield state, engine(url, tmp_path)


def engine(url: str, folder: Path) -> Docker:
    """A new one for each process that a user would start; the record is the user's."""
    return Docker(Api(Endpoint.parse(url, "test")), Record(folder / "cache/loaded"))


def again(docker: Docker, folder: Path) -> Docker:
    return engine(docker._api.endpoint.url, folder)


def only_whole(state: State) -> bool:
    return all(map(state.is_whole, state.images)) and bool(state.images)


def test_the_loop_of_editing_and_running(daemon: tuple[State, Docker], tmp_path: Path) -> None:
    state, docker = daemon
    base = [layer(tmp_path, "base"), layer(tmp_path, "middle")]
    first = image(*base, layer(tmp_path, "top-1"))
    assert load(docker, wanted(first, "app:1")).sent == {"base", "middle", "top-1"}
    assert len(state.uploads[0].blobs) == 5  # manifest, config, three layers

    state.requests.clear()
    assert load(again(docker, tmp_path), wanted(first, "app:1")).sent == set()
    assert len(state.requests) <= 2, "there already"

    second = image(*base, layer(tmp_path, "top-2"))
    told = load(again(docker, tmp_path), wanted(second, "app:2"))
    assert (told.sent, told.again) == ({"top-2"}, [])
    assert state.uploads[-1].blobs[2:] == [str(second.layers[-1].diff_id)]
    assert state.uploads[-1].size < 2000 + 16 * 512 + second.layers[-1].size

    # Another name: nothing is sent, the name is put on what is there.
    assert load(again(docker, tmp_path), wanted(first, "other:1", "localhost:5000/x/y:z")).sent == set()
    assert len(state.uploads) == 2
    assert set(state.names) == {f"docker.io/library/{n}" for n in ("app:1", "app:2", "other:1")} | {
        "localhost:5000/x/y:z"
    }
    assert state.names["docker.io/library/other:1"] == state.names["docker.io/library/app:1"]
    assert only_whole(state)


def test_full_sends_everything(daemon: tuple[State, Docker], tmp_path: Path) -> None:
    state, docker = daemon
    made = image(layer(tmp_path, "a"), layer(tmp_path, "b"))
    for _ in range(2):
        assert load(again(docker, tmp_path), wanted(made, "app:1"), full=True).sent == {"a", "b"}
    assert len(state.uploads) == 2


def test_a_name_moves_to_the_new_image(daemon: tuple[State, Docker], tmp_path: Path) -> None:
    state, docker = daemon
    base = layer(tmp_path, "base")
    for top in ("one", "two"):
        assert load(again(docker, tmp_path), wanted(image(base, layer(tmp_path, top)), "app:1")).sent >= {top}
    assert len(state.uploads[-1].blobs) == 3
    assert only_whole(state)


def test_what_went_away_between_asking_and_sending_is_sent_after_all(
    daemon: tuple[State, Docker], tmp_path: Path
) -> None:
    state, docker = daemon
    base = layer(tmp_path, "base")
    load(docker, wanted(image(base, layer(tmp_path, "one")), "app:1"))
    child = image(base, layer(tmp_path, "two"))

    def prune(state: State) -> None:
        state.remove("docker.io/library/app:1")
        state.before_load = lambda state: None

    state.before_load = prune
    told = load(again(docker, tmp_path), wanted(child, "app:2"))
    assert told.sent == {"base", "two"}
    assert len(told.again) == 1
    assert [len(upload.blobs) for upload in state.uploads] == [4, 3, 4]
    assert only_whole(state)


@pytest.mark.parametrize("kind", CONTAINERD)
def test_a_store_with_holes_is_found_out_and_mended(tmp_path: Path, kind: str) -> None:
    # The unpacked stack is there and the blob is not: the daemon takes the image and says that all is well.
    with fake_docker(tmp_path, kind) as (state, url):
        base = layer(tmp_path, "base")
        load(engine(url, tmp_path), wanted(image(base, layer(tmp_path, "one")), "app:1"))
        child = image(base, layer(tmp_path, "two"))

        def damage(state: State) -> None:
            state.blobs.discard(str(base.diff_id))
            state.before_load = lambda state: None

        state.before_load = damage
        told = load(engine(url, tmp_path), wanted(child, "app:2"))
        assert told.again == ["some of its layers are not in the image store"]
        assert told.sent == {"base", "two"}
        assert only_whole(state)

        # An image that was damaged after it was loaded is not taken for one that is there, and since API 1.48 it says so.
        state.blobs.discard(str(base.diff_id))
        told = load(engine(url, tmp_path), wanted(child, "app:2"))
        assert told.sent >= {"base"}
        assert told.again == ([] if kind == "docker-28-containerd" else ["some of its layers are not in the image store"])
        assert only_whole(state)


@pytest.mark.parametrize("kind", CONTAINERD)
def test_layers_of_images_that_are_not_ours_are_sent(tmp_path: Path, kind: str) -> None:
    with fake_docker(tmp_path, kind) as (state, url):
        base, top = layer(tmp_path, "base"), layer(tmp_path, "top")
        made = wanted(image(base, top), "app:1")
        load(engine(url, tmp_path), made)
        # As somebody else would have loaded it: the same diff_ids, blobs of another compression.
        (image_id,) = state.images
        foreign = state.images.pop(image_id)
        foreign.blobs = [f"sha256:{Digest.of(blob.encode()).hex}" for blob in foreign.blobs]
        state.images["sha256:" + "5" * 64] = foreign
        state.names = {"docker.io/library/foreign:1": "sha256:" + "5" * 64}
        state.blobs = set(foreign.blobs)
        told = load(engine(url, tmp_path), wanted(image(base, layer(tmp_path, "two")), "app:2"))
        assert (told.sent, told.again) == ({"base", "two"}, [])
        assert only_whole(state)


@pytest.mark.parametrize("kind", CONTAINERD)
def test_without_the_record_all_is_sent_once(tmp_path: Path, kind: str) -> None:
    with fake_docker(tmp_path, kind) as (state, url):
        base = layer(tmp_path, "base")
        load(engine(url, tmp_path / "one"), wanted(image(base, layer(tmp_path, "1")), "app:1"))
        two = image(base, layer(tmp_path, "2"))
        assert load(engine(url, tmp_path / "two"), wanted(two, "app:2")).sent == {"base", "2"}
        three = image(base, layer(tmp_path, "3"))
        assert load(engine(url, tmp_path / "two"), wanted(three, "app:3")).sent == {"3"}
        (tmp_path / "file").touch()  # a cache that cannot be written is none
        assert load(engine(url, tmp_path / "file"), wanted(three, "app:4")).sent == set()
        assert only_whole(state)


@pytest.mark.parametrize("kind", GRAPH)
def test_a_chain_counts_up_to_the_first_layer_that_differs(tmp_path: Path, kind: str) -> None:
    with fake_docker(tmp_path, kind) as (state, url):
        a, b, c = (layer(tmp_path, name) for name in "abc")
        load(engine(url, tmp_path), wanted(image(a, b), "app:1"))
        assert load(engine(url, tmp_path), wanted(image(b, a, c), "app:2")).sent == {"a", "b", "c"}
        assert load(engine(url, tmp_path), wanted(image(a, c, b), "app:3")).sent == {"b", "c"}
        # The one that is there comes again further up, where it must be read.
        told = load(engine(url, tmp_path), wanted(image(a, b, c, a), "app:4"))
        assert (told.sent, told.again) == ({"a", "c"}, [])
        assert only_whole(state)


@pytest.mark.parametrize("kind", ["podman-4", *CONTAINERD])
def test_a_blob_counts_wherever_it_is(tmp_path: Path, kind: str) -> None:
    with fake_docker(tmp_path, kind) as (state, url):
        a, b, c = (layer(tmp_path, name) for name in "abc")
        load(engine(url, tmp_path), wanted(image(a, b), "app:1"))
        assert load(engine(url, tmp_path), wanted(image(b, c, a, b), "app:2")).sent == {"c"}
        assert only_whole(state)


def test_a_base_of_compressed_layers_is_sent_uncompressed(daemon: tuple[State, Docker], tmp_path: Path) -> None:
    state, docker = daemon
    tar = layer_of("etc/", "etc/one")
    (tmp_path / "base.tar.gz").write_bytes(gzip.compress(tar))
    size = (tmp_path / "base.tar.gz").stat().st_size
    source = BlobSource(
        str(tmp_path / "base.tar.gz"),
        0,
        size,
        Digest.of((tmp_path / "base.tar.gz").read_bytes()),
        "application/vnd.oci.image.layer.v1.tar+gzip",
    )
    base = Layer(Digest.of(tar), len(tar), source, (), "base: gz")
    load(docker, wanted(image(base, layer(tmp_path, "one")), "app:1"))
    assert str(base.diff_id) in state.uploads[0].blobs
    assert load(again(docker, tmp_path), wanted(image(base, layer(tmp_path, "two")), "app:2")).sent == {"two"}


def test_an_image_without_layers(daemon: tuple[State, Docker], tmp_path: Path) -> None:
    state, docker = daemon
    empty = Image(ImageConfig(Platform("amd64")), ()).with_config({"Cmd": ["/x"]}, CREATED)
    assert load(docker, wanted(empty, "empty:1")).sent == set()
    assert [len(upload.blobs) for upload in state.uploads] == [2]


def test_many_images_are_not_all_asked_for(daemon: tuple[State, Docker], tmp_path: Path) -> None:
    state, docker = daemon
    base = layer(tmp_path, "base")
    for number in range(30):
        name = "app" if number == 17 else f"other{number}"
        load(docker, wanted(image(base, layer(tmp_path, f"top{number}")), f"{name}:{number}"))
    state.requests.clear()
    assert load(again(docker, tmp_path), wanted(image(base, layer(tmp_path, "new")), "app:new")).sent == {"new"}
    # Its name; the store; the list, or the image itself; the image of the same name; the upload; what came of it.
    assert len(state.requests) <= 7


@pytest.mark.parametrize("kind", CONTAINERD)
def test_of_images_that_were_loaded_once_the_last_is_asked_for_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    with fake_docker(tmp_path, kind) as (state, url):
        base, record = layer(tmp_path, "base"), Record(tmp_path / "cache/loaded")
        load(engine(url, tmp_path), wanted(image(base, layer(tmp_path, "1")), "app:1"))
        for number in range(100):  # loaded elsewhere, or removed
            record.add(Digest.of(bytes([number])))
        two = wanted(image(base, layer(tmp_path, "2")), "app:2")
        state.requests.clear()
        assert load(engine(url, tmp_path), two).sent == {"base", "2"}, "it is smaller than 100 questions are dear"
        assert ASKED_ANYWAY < len(state.requests) <= ASKED_ANYWAY + 7
        three = wanted(image(base, layer(tmp_path, "3")), "app:3")
        state.requests.clear()
        assert load(engine(url, tmp_path), three).sent == {"3"}
        assert len(state.requests) <= 7
        monkeypatch.setattr("dockertools_py.engines.docker.WORTH_ASKING", 0)
        for name in ("app:2", "app:3"):
            state.remove(f"docker.io/library/{name}")
        assert load(engine(url, tmp_path), wanted(image(base, layer(tmp_path, "4")), "app:4")).sent == {"4"}
        assert only_whole(state)


@pytest.mark.parametrize("kind", CONTAINERD)
def test_of_images_of_ours_that_which_has_the_name_comes_first(tmp_path: Path, kind: str) -> None:
    with fake_docker(tmp_path, kind) as (state, url):
        shared, own = layer(tmp_path, "shared"), layer(tmp_path, "own")
        load(engine(url, tmp_path), wanted(image(shared, own, layer(tmp_path, "1")), "app:1"))
        for number in range(3):  # whoever has found something asks no further for so little
            load(engine(url, tmp_path), wanted(image(shared, layer(tmp_path, f"other{number}")), f"other:{number}"))
        assert load(engine(url, tmp_path), wanted(image(shared, own, layer(tmp_path, "2")), "app:1")).sent == {"2"}
        assert only_whole(state)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_whatever_happens_an_image_is_whole_and_no_layer_too_many_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, seed: int
) -> None:
    random = Random(seed)
    monkeypatch.setattr("dockertools_py.engines.docker.WORTH_ASKING", 0)
    layers = [layer(tmp_path, f"layer{number}", 100) for number in range(6)]
    with fake_docker(tmp_path, kind) as (state, url):
        for step in range(25):
            if state.names and random.random() < 0.3:
                state.remove(random.choice(sorted(state.names)))
            stack = random.choices(layers, k=random.randint(0, 5))
            made = wanted(image(*stack), f"app{random.randint(0, 3)}:{random.randint(0, 2)}")
            expected = set() if image_is_there(state, made) else missing(state, made)
            told = load(engine(url, tmp_path), made)
            assert (told.sent, told.again) == (expected, []), f"step {step}"
            assert only_whole(state)
            assert state.names[made.references[0].normalised()] in (str(made.image_id), str(made.manifest))


def image_is_there(state: State, made: Wanted) -> bool:
    return str(made.image_id) in state.images or str(made.manifest) in state.images


def missing(state: State, made: Wanted) -> set[str]:
    """The names of the layers without which the daemon could not have the image."""
    stack = list(map(str, made.diff_ids))
    if state.kind.by == "chain":
        depth = max((common(stack, held.diff_ids) for held in state.images.values()), default=0)
        needed = set(stack[depth:])
    else:
        needed = set(stack) - {blob for held in state.images.values() for blob in held.blobs}
    return {layer.created_by.partition(": ")[2] for layer in made.layers if str(layer.diff_id) in needed}


def common(one: list[str], other: list[str]) -> int:
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


# --- what a daemon may say -------------------------------------------------------------------------------------------


def refusal(docker: Docker, made: object) -> str:
    with pytest.raises(DockertoolsError) as caught:
        load(docker, made)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return str(caught.value)


Message = Callable[[], tuple[int, bytes]]


@pytest.mark.parametrize(
    ("status", "data", "words"),
    [
        (200, b'{"errorDetail":{"message":"no space"},"error":"no space left on device"}\r\n', "no space left on device"),
        (200, b'{"stream":"Loaded image: app:1\\n"}\n{"error":"and then this"}\n', "and then this"),
        (200, b'{"status":"Error unpacking image app:1: gone"}\n', "Error unpacking image app:1: gone"),
        (200, b"<html>a proxy of some kind</html>", "its answer is no list of messages: <html>a proxy of some kind</html>"),
        (200, b"[1]\n", "its answer is no list of messages: [1]"),
        (500, b'{"message":"cannot do\\nthat"}', "cannot do\\nthat"),
        (500, b"oops", "oops"),
        (403, b"", "status 403"),
        (200, b"", "there is no image of that name"),
        (200, b'{"stream":"Loaded image: app:1\\n"}\n', "there is no image of that name"),
        (200, b"[" * 100_000, "its answer is no list of messages: [[["),
    ],
)
def test_a_load_that_fails(tmp_path: Path, status: int, data: bytes, words: str) -> None:
    with fake_docker(tmp_path, "docker-26") as (state, url):
        state.instead["POST /images/load"] = lambda: (status, data)
        text = refusal(engine(url, tmp_path), wanted(image(layer(tmp_path, "a")), "app:1"))
        assert text.startswith(f"Docker 26.1.5 at {url} did not load app:1: {words}")
        assert len(text) < 1300
        assert state.requests.count("POST /images/load") == 1, "with every layer in it there is no second try"


@pytest.mark.parametrize("kind", CONTAINERD)
@pytest.mark.parametrize("times", [1, 2])
def test_what_the_store_has_just_collected_is_sent_once_more(tmp_path: Path, kind: str, times: int) -> None:
    with fake_docker(tmp_path, kind) as (state, url):
        made = wanted(image(layer(tmp_path, "a")), "app:1")
        lost = f"failed to unpack loaded image: content digest {made.diff_ids[0]}: not found"

        def lose() -> tuple[int, bytes]:
            if state.requests.count("POST /images/load") == times:
                del state.instead["POST /images/load"]
            return 200, json.dumps({"error": lost}).encode()

        state.instead["POST /images/load"] = lose
        if times == 1:
            told = load(engine(url, tmp_path), made)
            assert (told.sent, told.again) == ({"a"}, [lost])
            assert only_whole(state)
        else:
            assert f"did not load app:1: {lost}" in refusal(engine(url, tmp_path), made)
        assert state.requests.count("POST /images/load") == 2


ODD: dict[str, tuple[str, Message, str]] = {
    "no JSON": ("GET /images/json", lambda: (200, b"<html>"), "its list of images: not JSON"),
    "no list": ("GET /images/json", lambda: (200, b"{}"), "its list of images: a JSON list was expected"),
    "an error": ("GET /images/json", lambda: (500, b'{"message":"bad db"}'), "its list of images: bad db"),
    "half a name": ("GET /images/docker.io/library/app:1/json", lambda: (200, b'{"Id": "sha2'), "not JSON"),
    "a list": ("GET /images/docker.io/library/app:1/json", lambda: (200, b"[]"), "a JSON object was expected"),
    "too much": ("GET /images/json", lambda: (200, b" " * (MAX_ANSWER + 1)), f"an answer of more than {MAX_ANSWER} bytes"),
}


@pytest.mark.parametrize("case", ODD)
def test_odd_answers(tmp_path: Path, case: str) -> None:
    path, message, words = ODD[case]
    with fake_docker(tmp_path, "docker-26") as (state, url):
        state.instead[path] = message
        assert words in refusal(engine(url, tmp_path), wanted(image(layer(tmp_path, "a")), "app:1"))
        assert state.uploads == []


@pytest.mark.parametrize(
    "data",
    [
        b'[1, null, {"Id": 7}, {"Id": "sha256:../../x", "RepoTags": "no list"}, {"Id": "\\u0000\\n", "RepoTags": [3, ":"]}]',
        b'[{"Id": "?x=1#y", "RepoTags": ["<none>:<none>", "A B:c"]}]',
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_list_of_nonsense_is_no_reason_to_leave_anything_out(tmp_path: Path, kind: str, data: bytes) -> None:
    with fake_docker(tmp_path, kind) as (state, url):
        state.instead["GET /images/json"] = lambda: (200, data)
        docker = engine(url, tmp_path)
        made = wanted(image(layer(tmp_path, "a")), "app:1")
        if kind == "docker-26-containerd":  # its list is how it shows that an image is whole
            assert "some of its layers are not in the image store" in refusal(docker, made)
        else:
            assert load(docker, made).sent == {"a"}
        assert len(state.uploads[0].blobs) == 3


def test_a_daemon_that_lies_is_found_out(tmp_path: Path) -> None:
    # It says that it has each layer, takes the archive without, and has nothing.
    with fake_docker(tmp_path, "docker-26") as (state, url):
        made = wanted(image(layer(tmp_path, "a"), layer(tmp_path, "b")), "app:1")
        state.images["sha256:" + "1" * 64] = type("Held", (), {"diff_ids": [str(d) for d in made.diff_ids]})()
        state.names["docker.io/library/lie:1"] = "sha256:" + "1" * 64
        state.instead["POST /images/load"] = lambda: (200, b'{"stream":"Loaded image: app:1\\n"}\n')
        docker = engine(url, tmp_path)
        assert "did not load app:1: there is no image of that name" in refusal(docker, made)
        assert state.requests.count("POST /images/load") == 2, "in part, then all of it"


def test_a_daemon_that_hangs_up(tmp_path: Path) -> None:
    with fake_docker(tmp_path, "docker-26") as (state, url):
        state.stop_reading_after = 300_000
        made = wanted(image(layer(tmp_path, "a", 8 << 20)), "app:1")
        text = refusal(engine(url, tmp_path), made)
        assert text.startswith(f"Docker 26.1.5 at {url} did not load app:1: hung up in the middle of the archive (")

        def hang_up() -> tuple[int, bytes]:
            raise Hangup

        state.instead["GET /images/json"] = hang_up
        text = refusal(engine(url, tmp_path), made)
        assert text.startswith(f"{url}: the connection dropped, or it speaks no HTTP (")


def test_a_connection_that_ended_while_layers_were_fetched(tmp_path: Path) -> None:
    """Podman ends one after ten seconds of silence; an archive is not written twice."""
    with fake_docker(tmp_path, "docker-26") as (state, url):
        state.patience = 0.05
        docker = engine(url, tmp_path)
        made = wanted(image(layer(tmp_path, "a")), "app:1")
        assert docker.lacks(made.references[0], made)
        time.sleep(0.3)
        assert load(docker, made, full=True).again == []
        assert len(state.uploads) == 1


@pytest.mark.parametrize(
    ("info", "platform"),
    [
        ({"Architecture": "aarch64", "OSType": "linux"}, "linux/arm64"),
        ({"Architecture": "arm64"}, "linux/arm64"),
        ({"Architecture": "x86_64", "OSType": "windows"}, "windows/amd64"),
        ({}, None),
        ({"Architecture": 1, "OSType": 2}, None),
    ],
)
def test_what_an_engine_runs(tmp_path: Path, info: dict[str, object], platform: str | None) -> None:
    with fake_docker(tmp_path, "docker-26") as (state, url):
        state.instead["GET /info"] = lambda: (200, json.dumps(info).encode())
        expected = platform or str(Platform.of_machine(os.uname().machine))
        assert str(engine(url, tmp_path).platform()) == expected


def test_a_kept_connection_that_was_closed_is_made_again(tmp_path: Path) -> None:
    with fake_docker(tmp_path, "docker-26") as (state, url):
        api = Api(Endpoint.parse(url, "test"))
        assert api.get("/info").status == 200

        def once() -> tuple[int, bytes]:
            del state.instead["GET /info"]
            raise Hangup

        state.instead["GET /info"] = once
        assert api.get("/info").object("info")["DriverStatus"]
        assert state.requests.count("GET /info") == 3
        api.close()


@contextmanager
def listener(path: Path, talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """Something at a socket that is no daemon at all."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                talk(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"unix://{path}"
        thread.join()
        path.unlink()


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200,
    ],
)
def test_something_else_listens(tmp_path: Path, said: bytes) -> None:
    def talk(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(said)

    with listener(tmp_path / "s", talk) as url:
        text = refusal(engine(url, tmp_path), wanted(image(layer(tmp_path, "a")), "app:1"))
        assert text.startswith(f"{url}: the connection dropped, or it speaks no HTTP (")


def test_an_early_refusal_is_told_though_the_archive_was_not_read(tmp_path: Path) -> None:
    def talk(connection: socket.socket) -> None:
        file = connection.makefile("rb")
        for status, data in ((404, b"{}"), (200, b"{}"), (200, b"[]")):
            while file.readline() != b"\r\n":
                pass
            connection.sendall(b"HTTP/1.1 %d x\r\nContent-Length: 2\r\n\r\n%b" % (status, data))
        while file.readline() != b"\r\n":
            pass
        body = json.dumps({"message": "no room for it"}).encode()
        connection.sendall(b"HTTP/1.1 507 x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        file.close()

    with listener(tmp_path / "s", talk) as url:
        made = wanted(image(layer(tmp_path, "a", 8 << 20)), "app:1")
        docker = engine(url, tmp_path)
        try:
            text = refusal(docker, made)
        finally:
            docker._api.close()
        # Whether its words were read before the connection was reset is the kernel's choice.
        assert "did not load app:1: no room for it" in text or "hung up in the middle" in text


def test_a_file_that_is_gone_is_no_matter_of_the_connection(tmp_path: Path) -> None:
    with fake_docker(tmp_path, "docker-26") as (state, url):
        made = wanted(image(layer(tmp_path, "a"), layer(tmp_path, "b")), "app:1")
        (path,) = made.layers[1].store_paths
        os.rename(path, tmp_path / "elsewhere")
        with pytest.raises(FileNotFoundError) as caught:
            load(engine(url, tmp_path), made)
        assert os.fsdecode(caught.value.filename) == path
        assert state.images == {}


def test_records_are_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dockertools_py.engines.record.MAX_NOTES", 5)
    record = Record.from_environment({"XDG_CACHE_HOME": str(tmp_path)})
    digests = [Digest.of(bytes([number])) for number in range(8)]
    for number, digest in enumerate(digests):
        record.add(digest)
        os.utime(tmp_path / "dockertools-py/loaded" / digest.hex, (number, number))
    assert [record.has(digest) for digest in digests] == [False] * 3 + [True] * 5
    assert not Record.from_environment({}).has(digests[7])
    record.add(digests[4])
    (tmp_path / "dockertools-py/loaded/README").touch()
    assert record.newest() == [digests[4], digests[7], digests[6], digests[5], digests[3]]
    assert Record(tmp_path / "absent").newest() == Record(None).newest() == []
    assert Record.from_environment({"HOME": "/absent"})._folder == Path("/absent/.cache/dockertools-py/loaded")
