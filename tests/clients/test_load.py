"""`load` and `run` with real engines: what they are sent is counted outside, and what they have then is whole."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.available import ENGINES
from tests.clients.engines.containerd import Containerd
from tests.clients.engines.docker import Docker
from tests.clients.engines.engine import Engine, familiar
from tests.clients.engines.errors import EngineError
from tests.clients.loaders import SMALL, Loader, ProgramLoader, SocketLoader, Versions, client_of, loader
from tests.conftest import CHECKOUT

HOW = {
    **{name: ("socket",) for name in ENGINES if name.startswith("docker")},
    "podman": ("program", "socket"),
    **{name: ("program",) for name in ENGINES if name.startswith("containerd-")},
    "containerd": ("program", "k3s", "kind"),
}
KUBERNETES = ("k3s", "kind")
CASES = [(engine, how) for engine, ways in HOW.items() for how in ways]
DOCKERS = [name for name in HOW if name.startswith("docker")]
STORES = [name for name in DOCKERS if name.endswith("-containerd")]
GRAPHS = [name for name in DOCKERS if name not in STORES]


def cases(*engines: str, without: tuple[str, ...] = ()) -> list[object]:
    return [
        pytest.param(engine, how, marks=pytest.mark.xdist_group(engine), id=f"{engine}-{how}")
        for engine, how in CASES
        if engine in (engines or HOW) and how not in without
    ]


@pytest.fixture
def how(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def versions(tmp_path: Path) -> Versions:
    return Versions(tmp_path)


@pytest.fixture
def loading(empty_engine: Engine, how: str, tmp_path: Path) -> Iterator[Loader]:
    with loader(how, empty_engine, tmp_path) as found:
        yield found


every = pytest.mark.parametrize(("engine", "how"), cases(), indirect=True)
# One release of containerd does: what differs between them is what ctr prints. And what kubelets look at is another
# namespace than the one in which the harness runs containers.
every_default = pytest.mark.parametrize(
    ("engine", "how"), cases(*DOCKERS, "podman", "containerd", without=KUBERNETES), indirect=True
)


@every
def test_only_what_is_missing_is_sent(loading: Loader, versions: Versions, how: str, tmp_path: Path) -> None:
    busybox = versions.busybox()
    data = versions.layer({"data": os.urandom(3_000_000)})
    one = versions.image(busybox, data, versions.layer({"text": b"one\n"}))
    two = versions.image(busybox, data, versions.layer({"text": b"two\n"}))
    event = (first := loading.load(one, "-t", "app:1")).loaded()
    assert (event["layersSent"], event["layers"]) == (3, 3)
    assert event["bytesWritten"] <= first.sent < event["bytesWritten"] + SMALL

    event = (same := loading.load(one, "-t", "app:1")).loaded()
    assert (event["layersSent"], event["bytesWritten"]) == (0, 0)
    assert same.sent < 500

    event = (changed := loading.load(two, "-t", "app:2")).loaded()
    assert (event["layersSent"], event["bytesSent"]) == (1, event["bytesSent"])
    assert event["bytesSent"] < SMALL < event["bytesWritten"] < 3 * SMALL
    assert event["bytesWritten"] <= changed.sent < 3 * SMALL + 2000

    tagged = loading.load(two, "-t", "other:1", "-t", "localhost:5000/team/app:2")
    assert tagged.loaded()["layersSent"] == 0
    assert tagged.sent < 3000
    if how not in KUBERNETES:
        for event, text in ((first.loaded(), "one\n"), (changed.loaded(), "two\n"), (tagged.loaded(), "two\n")):
            for reference in event["references"]:
                assert loading.engine.run(reference) == text
        check_whole(loading.engine, changed.loaded()["references"][0], tmp_path)


def check_whole(engine: Engine, reference: str, folder: Path) -> None:
    """It can be saved, and what is saved is all there, without any other image."""
    engine.save(reference, folder / "saved.tar")
    command = [sys.executable, "-m", "dockertools_py", "validate", str(folder / "saved.tar")]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    engine.reset()
    [again] = engine.load(folder / "saved.tar")
    assert familiar(again) == familiar(reference)
    engine.run(again)


@every
def test_of_an_index_the_image_that_the_engine_runs(loading: Loader, versions: Versions, how: str) -> None:
    busybox = versions.busybox()
    here, other = (versions.layer({"text": text}) for text in (b"here\n", b"other\n"))
    foreign = versions.image(busybox, other, architecture="s390x")
    index = versions.index(s390x=foreign, amd64=versions.image(busybox, here))
    event = loading.load(index, "-t", "app:1").loaded()
    assert event["layersSent"] == 2
    if how not in KUBERNETES:
        assert loading.engine.run(event["references"][0]) == "here\n"
    other_one = loading.load(index, "-t", "app:2", "--platform", "linux/s390x")
    if isinstance(loading.engine, Containerd):
        assert "takes images for linux/amd64, and this one is for linux/s390x" in other_one.stderr
        assert other_one.sent == 0
    else:
        assert other_one.loaded()["layersSent"] == 1


@every_default
def test_a_base_is_shared_between_images(loading: Loader, versions: Versions) -> None:
    busybox, data = versions.busybox(), versions.layer({"data": os.urandom(2_000_000)})
    loading.load(versions.image(busybox, data, versions.layer({"text": b"a\n"})), "-t", "a:1").loaded()
    result = loading.load(versions.image(busybox, data, versions.layer({"text": b"b\n"})), "-t", "b:1")
    event = result.loaded()
    assert event["layersSent"] == 1
    assert result.sent < 4 * SMALL
    assert loading.engine.run(event["references"][0]) == "b\n"


@pytest.mark.parametrize(("engine", "how"), cases(*DOCKERS, "podman"), indirect=True)
def test_a_name_moves_and_what_it_left_is_pruned(loading: Loader, versions: Versions, tmp_path: Path) -> None:
    busybox, data = versions.busybox(), versions.layer({"data": os.urandom(2_000_000)})
    sent = []
    for number in range(3):
        image = versions.image(busybox, data, versions.layer({"text": f"{number}\n".encode()}))
        event = loading.load(image, "-t", "app:1").loaded()
        sent.append(event["layersSent"])
        loading.engine.namespace.run([*client_of(loading.engine), "image", "prune", "--force"])
        assert loading.engine.run(event["references"][0]) == f"{number}\n"
    assert sent == [3, 1, 1]
    check_whole(loading.engine, event["references"][0], tmp_path)


@every_default
def test_what_was_removed_is_sent_again(loading: Loader, versions: Versions) -> None:
    image = versions.image(versions.busybox(), versions.layer({"text": b"again\n"}))
    loading.load(image, "-t", "app:1").loaded()
    loading.engine.reset()
    event = loading.load(image, "-t", "app:1").loaded()
    assert event["layersSent"] == 2
    assert loading.engine.run(event["references"][0]) == "again\n"


@every_default
def test_what_goes_away_meanwhile_is_sent_after_all(loading: Loader, versions: Versions) -> None:
    busybox = versions.busybox()
    loading.load(versions.image(busybox, versions.layer({"text": b"one\n"})), "-t", "app:1").loaded()
    image = versions.image(busybox, versions.layer({"text": b"two\n"}))
    if isinstance(loading, SocketLoader):
        loading.before_load(loading.engine.reset)
    else:
        assert isinstance(loading, ProgramLoader)
        remove = "ctr images rm --sync docker.io/library/app:1"
        if loading.to == ("--to", "podman"):
            remove = " ".join([*client_of(loading.engine), "rmi", "--all", "--force"])
        loading.script_before_load(f"PATH={loading.engine.path}\n{remove}\n")
    result = loading.load(image, "-t", "app:2")
    event = result.loaded()
    assert [json.loads(line)["event"] for line in result.stdout.splitlines()].count("said") == 1
    assert event["layersSent"] == 2
    assert loading.engine.run(event["references"][0]) == "two\n"


@every_default
def test_an_interrupted_load_leaves_no_image(loading: Loader, versions: Versions) -> None:
    image = versions.image(versions.busybox(), versions.layer({"text": os.urandom(4_000_000)}))
    for number in (signal.SIGINT, signal.SIGKILL):
        assert loading.interrupted(image, "app:1", number) in (128 + number, -number)
        with pytest.raises((EngineError, KeyError)):
            loading.engine.inspect("docker.io/library/app:1")
    event = loading.load(image, "-t", "app:1").loaded()
    assert event["layers"] == 2
    loading.engine.run(event["references"][0])


@pytest.mark.parametrize(("engine", "how"), cases(GRAPHS[-1]), indirect=True)
def test_as_many_layers_as_docker_mounts(loading: Loader, versions: Versions) -> None:
    layers = [versions.busybox(), *(versions.layer({f"{number}": b"x"}) for number in range(123))]
    assert (
        loading.load(versions.image(*layers, versions.layer({"text": b"1\n"})), "-t", "app:1").loaded()["layersSent"]
        == 125
    )
    event = loading.load(versions.image(*layers, versions.layer({"text": b"2\n"})), "-t", "app:2").loaded()
    assert (event["layersSent"], event["layers"]) == (1, 125)
    assert loading.engine.run(event["references"][0]) == "2\n"


@pytest.mark.parametrize(("engine", "how"), cases(*STORES), indirect=True)
def test_a_store_that_hides_its_holes_is_mended(loading: Loader, versions: Versions, tmp_path: Path) -> None:
    # Its blobs are compressed, and the record says that they are not: the image would run, and could not be saved.
    busybox = versions.busybox()
    first = versions.image(busybox, versions.layer({"text": b"one\n"}))
    archive = ["archive", str(first), "-o", str(tmp_path / "gz.tar"), "--compressor", "gz", "-t", "gz:1"]
    assert loading.call(*archive).code == 0
    [reference] = loading.engine.load(tmp_path / "gz.tar")
    assert isinstance(loading.engine, Docker)
    command = loading.engine.client("image", "inspect", "--format={{.Id}}", reference)
    manifest = loading.engine.namespace.run(command).strip().removeprefix("sha256:")
    notes = tmp_path / "cache/dockertools-py/loaded"
    notes.mkdir(parents=True)
    (notes / manifest).touch()

    result = loading.load(versions.image(busybox, versions.layer({"text": b"two\n"})), "-t", "app:2")
    said = [event["text"] for event in map(json.loads, result.stdout.splitlines()) if event["event"] == "said"]
    assert len(said) == 1
    assert said[0].endswith(": some of its layers are not in the image store; sending all layers")
    event = result.loaded()
    assert event["layersSent"] == 2
    check_whole(loading.engine, event["references"][0], tmp_path)


@pytest.mark.parametrize(
    ("engine", "how"), cases(without=KUBERNETES), indirect=True
)
def test_run(loading: Loader, versions: Versions) -> None:
    busybox = versions.busybox()
    image = versions.image(busybox, versions.layer({"text": b"text\n"}))
    # Not at once: an attached client of Docker 28 has been seen to lose the output of a program that does.
    shell = [f"{busybox.paths[0]}/busybox", "sh", "-c", "sleep 0.3; echo $FLAG; exit 7"]
    options = ["--env", "FLAG=set", *(["--network=none"] if isinstance(loading.engine, Docker) else [])]
    for loaded in (True, False):
        result = loading.call("run", "-t", "app:1", *loading.to, str(image), *shell, "--", *options)
        assert (result.code, result.stdout) == (7, "set\n"), result.stderr
        assert ("2 of 2 layers sent" in result.stderr) is loaded
