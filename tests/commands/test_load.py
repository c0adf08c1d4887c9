"""`load` and `run` as a user starts them, with a daemon that answers as Docker does."""

import json
import os
import pty
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockertools_py.commands.run import split
from dockertools_py.errors import DockertoolsError
from tests.conftest import Nix
from tests.engines.fake_docker import State, fake_docker
from tests.formats.images import PLATFORMS, description, description_of_index
from tests.oracle.programs import CHECKOUT, dockertools

ARGUMENTS = '#!/bin/sh\nprintf "%s\\n" "$0" "$@"\n'


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return description(tmp_path_factory.mktemp("store"))


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[State, str]]:
    """A daemon that the environment names, and programs on PATH that print what they are given."""
    (tmp_path / "bin").mkdir()
    for name in ("docker", "podman"):
        (tmp_path / "bin" / name).write_text(ARGUMENTS)
        (tmp_path / "bin" / name).chmod(0o755)
    for name in list(os.environ):
        if name.startswith(("DOCKER_", "CONTAINER")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with fake_docker(tmp_path, "docker-26") as (state, url):
        monkeypatch.setenv("DOCKER_HOST", url)
        yield state, url


def failure(*arguments: object) -> str:
    done = dockertools(*arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done
    return done.stderr.removeprefix(f"dockertools-py {arguments[0]}: ").rstrip("\n")


def test_load_prints_names_and_says_how_much(daemon: tuple[State, str], image: Path) -> None:
    state, url = daemon
    done = dockertools("load", image, "-t", "one:1", "-t", "two")
    assert (done.returncode, done.stdout) == (0, "one:1\ntwo:latest\n")
    where = re.escape(f"load: Docker 26.1.5 at {url}: ")
    first, second, last = done.stderr.splitlines()
    assert re.fullmatch(r"load: layer [0-9a-f]{12} \(store: p0\): \d+\.\d kB, .*/s", first)
    assert "(store: p1)" in second
    assert re.fullmatch(where + r"2 of 2 layers sent, \d+\.\d kB of \d+\.\d kB, \d+\.\d s", last)
    done = dockertools("load", image, "-t", "one:1")
    assert re.fullmatch(where + r"0 of 2 layers sent, 0 B of \d+\.\d kB, \d+\.\d s\n", done.stderr)
    assert len(state.uploads) == 1


def test_dry_run_tells_and_sends_nothing(daemon: tuple[State, str], image: Path, tmp_path: Path) -> None:
    state, url = daemon
    done = dockertools("load", image, "-t", "one:1", "--dry-run")
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert [line[:4] for line in lines] == ["send", "send", "2 of"]
    assert lines[0].endswith("store: p0: not there")
    # How large they are depends on the depth of the test's own folder.
    sizes = re.escape(f"2 of 2 layers to be sent to Docker 26.1.5 at {url}, ") + r"(\d+\.\d kB) of (\d+\.\d kB)"
    match = re.fullmatch(sizes, lines[2])
    assert match and match[1] == match[2]
    dockertools("load", image, "-t", "one:1")
    lines = dockertools("load", image, "-t", "one:2", "--dry-run").stdout.splitlines()
    assert [line[:4] for line in lines] == ["keep", "keep", "0 of", "name"]
    assert lines[0].endswith("store: p0: in one:1")
    assert lines[3] == "name one:2, of what is one:1 there"
    lines = dockertools("load", image, "-t", "one:1", "--dry-run").stdout.splitlines()
    assert [line[:4] for line in lines] == ["keep", "keep", "0 of"]
    # A name that another image would lose.
    other = description(tmp_path / "other", size=4000)
    lines = dockertools("load", other, "-t", "one:1", "--dry-run").stdout.splitlines()
    assert lines[3:] == ["name one:1, which another image has now"]
    lines = dockertools("load", other, "-t", "one:1", "--dry-run", "--json").stdout.splitlines()
    assert json.loads(lines[-1]) == {"event": "name", "reference": "one:1", "source": None, "moves": True}
    lines = dockertools("load", image, "-t", "one:2", "--dry-run", "--full").stdout.splitlines()
    assert lines[0].endswith(": everything was asked for")
    assert (len(state.uploads), set(state.names)) == (1, {"docker.io/library/one:1"})


def test_json_events(daemon: tuple[State, str], image: Path) -> None:
    state, _ = daemon
    done = dockertools("load", image, "-t", "one:1", "--json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.returncode, done.stderr) == (0, "")
    assert [event["event"] for event in events] == ["begun", "sent", "begun", "sent", "loaded"]
    loaded = events[-1]
    assert (loaded["layersSent"], loaded["layers"], loaded["references"]) == (2, 2, ["one:1"])
    assert loaded["bytesSent"] == loaded["bytes"] == sum(event["size"] for event in events if event["event"] == "sent")
    assert loaded["bytesWritten"] == state.uploads[0].size
    assert list(state.images) == [loaded["id"]]
    for options, what, why in (([], "skipped", "in one:1"), (["--full"], "missing", "everything was asked for")):
        done = dockertools("load", image, "-t", "one:2", "--json", "--dry-run", *options)
        events = [json.loads(line) for line in done.stdout.splitlines()]
        assert [(event["event"], event["why"]) for event in events[:2]] == [(what, why)] * 2
        names = [] if options else [{"event": "name", "reference": "one:2", "source": "one:1", "moves": False}]
        assert events[2:] == names
    events = [json.loads(line) for line in dockertools("load", image, "-t", "one:2", "--json").stdout.splitlines()]
    assert [event["event"] for event in events] == ["skipped", "skipped", "loaded"]
    assert (events[-1]["layersSent"], events[-1]["bytesSent"]) == (0, 0)


def test_a_terminal_sees_how_far_it_is(
    daemon: tuple[State, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    large = description(tmp_path / "large", size=8 << 20, random=True)
    leader, follower = pty.openpty()
    done = dockertools("load", large, "-t", "one:1", capture_output=False, stdout=subprocess.PIPE, stderr=follower)
    os.close(follower)
    text = b""
    while chunk := _read(leader):
        text += chunk
    os.close(leader)
    assert done.returncode == 0
    assert text.rstrip().endswith(b" s")
    assert b" of 8.4 MB, " in text
    assert b"\x1b[J" in text, "what was drawn is taken away"


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, 65536)
    except OSError:  # what a terminal says at its end
        return b""


def test_what_is_wrong_with_an_image_is_told_before_an_engine_is_looked_for(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    for verb in ("load", "run"):
        assert failure(verb, tmp_path / "absent") == f"{tmp_path}/absent: no such file or directory"
        assert "the image has no name" in failure(verb, image)
        assert "/none.sock: " in failure(verb, "-t", "one:1", image)


def test_what_is_wrong_with_an_image(daemon: tuple[State, str], image: Path, tmp_path: Path) -> None:
    assert failure("load", image) == (
        "the image has no name, by which an engine could find it: give it one, -t NAME:TAG"
    )
    assert failure("load", tmp_path / "absent") == f"{tmp_path}/absent: no such file or directory"
    broken = description(tmp_path / "broken")
    next((tmp_path / "broken").glob("*-p1")).joinpath("share/data").write_bytes(b"\xee" * 3000)
    done = dockertools("load", broken, "-t", "one:1")
    assert (done.returncode, done.stdout) == (1, "")
    assert "not the bytes that were described" in done.stderr.splitlines()[-1]
    shutil.rmtree(next((tmp_path / "broken").glob("*-p1")))
    done = dockertools("load", broken, "-t", "one:1")
    assert done.stderr.splitlines()[-1].startswith("dockertools-py load: No such file or directory: ")
    assert daemon[0].images == {}


def test_run_loads_and_becomes_the_engines_program(daemon: tuple[State, str], image: Path, tmp_path: Path) -> None:
    docker = str(tmp_path / "bin/docker")
    # None of our standard streams is a terminal.
    done = dockertools("run", "--default-tag", "one:1", image, "--version", "-t", "x", "--to", stdin=subprocess.DEVNULL)
    words = [docker, "run", "--pull=never", "--rm", "--interactive", "one:1", "--version", "-t", "x", "--to"]
    assert (done.returncode, done.stdout.splitlines()) == (0, words)
    assert "2 of 2 layers sent" in done.stderr
    done = dockertools("run", "--default-tag", "one:1", image, "ls", "--", "-p", "8080:80", "-t", stdin=subprocess.DEVNULL)
    words = [docker, "run", "--pull=never", "--rm", "--interactive", "-p", "8080:80", "-t", "one:1", "ls"]
    assert (done.returncode, done.stdout.splitlines(), done.stderr) == (0, words, "")
    done = dockertools("run", "-t", "one:1", image, "git", "log", "--", "file", "--", stdin=subprocess.DEVNULL)
    assert done.stdout.splitlines()[5:] == ["one:1", "git", "log", "--", "file"]


def test_run_takes_its_own_options_last_too(daemon: tuple[State, str], image: Path, tmp_path: Path) -> None:
    _, url = daemon
    done = dockertools("run", "-t", "one:1", image, "ls", "--", "-v", "a:b", "--to", url, stdin=subprocess.DEVNULL)
    words = ["--host", url, "run", "--pull=never", "--rm", "--interactive", "-v", "a:b", "one:1", "ls"]
    assert done.stdout.splitlines() == [f"{tmp_path}/bin/docker", *words]
    assert failure("run", "-t", "one:1", image, "--", "file") == (
        "file follows `--` and is no option of the engine; where the `--` is for the container, end with another `--`"
    )


def test_the_image_of_an_index_for_the_engine(daemon: tuple[State, str], tmp_path: Path) -> None:
    """It may be elsewhere, and says for what machine it is; who knows better says --platform."""
    state, _ = daemon
    index = description_of_index(tmp_path / "index")
    ids = {name: json.loads(dockertools("inspect", index, "--json", "--platform", name).stdout)["id"] for name in PLATFORMS}
    assert len(set(ids.values())) == len(PLATFORMS)
    for machine, name in (("x86_64", "linux/amd64"), ("aarch64", "linux/arm64"), ("arm64", "linux/arm64")):
        state.machine = machine
        done = dockertools("load", index, "-t", f"{machine}:1")
        assert (done.returncode, done.stdout) == (0, f"{machine}:1\n"), done.stderr
        assert state.names[f"docker.io/library/{machine}:1"] == ids[name]
    dockertools("load", index, "-t", "other:1", "--platform", "linux/amd64")
    assert state.names["docker.io/library/other:1"] == ids["linux/amd64"]
    words = ["--platform", "linux/amd64"]
    done = dockertools("run", "-t", "run:1", index, "ls", "--", *words, stdin=subprocess.DEVNULL)
    assert done.stdout.splitlines()[1:] == ["run", "--pull=never", "--rm", "--interactive", *words, "run:1", "ls"]
    assert state.names["docker.io/library/run:1"] == ids["linux/amd64"]
    state.machine = "s390x"
    assert failure("load", index, "-t", "one:1") == (
        f"{index}: no image for linux/s390x in it; choose one (--platform OS/ARCH); there is: linux/amd64, linux/arm64"
    )
    one = description(tmp_path / "one")
    assert failure("load", one, "-t", "one:1", "--platform", "linux/arm64") == (
        f"{one}: an image for linux/amd64, not for linux/arm64"
    )
    assert failure("load", index, "--platform", "arm64") == (
        "platform 'arm64': write os/architecture, as in linux/amd64 or linux/arm/v7"
    )
    assert "docker.io/library/one:1" not in state.names
    missing = description_of_index(tmp_path / "missing")
    shutil.rmtree(missing / "linux-amd64/image")
    assert failure("load", missing, "-t", "one:1", "--platform", "linux/amd64") == (
        f"{missing}/linux-amd64/image: not here, though {missing} refers to it: build or copy that again"
    )


def test_run_on_a_terminal(daemon: tuple[State, str], image: Path) -> None:
    leader, follower = pty.openpty()
    streams = {"stdin": follower, "stdout": follower, "stderr": subprocess.PIPE}
    done = dockertools("run", "-t", "one:1", image, capture_output=False, **streams)
    os.close(follower)
    assert done.returncode == 0
    assert os.read(leader, 4096).split()[1:] == [b"run", b"--pull=never", b"--rm", b"--interactive", b"--tty", b"one:1"]
    os.close(leader)


def test_run_without_the_engines_program(
    daemon: tuple[State, str], image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/absent")
    done = dockertools("run", "-t", "one:1", image)
    assert done.stderr.splitlines()[-1] == (
        "dockertools-py run: docker: not on PATH; it runs containers, and the image is loaded"
    )


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["image"], (["image"], [])),
        (["image", "--"], (["image"], [])),
        (["image", "a", "--", "-p", "1"], (["image", "a"], ["-p", "1"])),
        (["image", "a", "--", "b", "--"], (["image", "a", "--", "b"], [])),
        (["image", "--", "--", "--init"], (["image", "--"], ["--init"])),
    ],
)
def test_the_last_dashes_split(arguments: list[str], parts: tuple[list[str], list[str]]) -> None:
    assert split(arguments) == parts
    with pytest.raises(DockertoolsError, match="file follows"):
        split(["image", "a", "--", "file"])


def test_attributes_of_images(daemon: tuple[State, str], nix: Nix, tmp_path: Path) -> None:
    image = 'build { name = "app"; contents = [ hello ]; }'
    load, run = nix.build_all(f"let image = {image}; in [ image.load image.run ]")
    name = nix.eval(f"({image}).imageRef")
    done = subprocess.run([load], capture_output=True, text=True, check=True)
    assert done.stdout == f"{name}\n"
    done = subprocess.run([load, "-t", "other:1"], capture_output=True, text=True, check=True)
    assert done.stdout == "other:1\n"
    command = [run, "hello", "--version", "--", "--init"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL)
    words = ["run", "--pull=never", "--rm", "--interactive", "--init", name, "hello", "--version"]
    assert done.stdout.splitlines() == [f"{tmp_path}/bin/docker", *words]
    assert len(daemon[0].uploads) == 1


def test_a_description_imports_no_more_than_it_needs(daemon: tuple[State, str], image: Path) -> None:
    """What costs milliseconds and is for others: archives, compression, TLS of ours, other engines."""
    dockertools("load", image, "-t", "one:1")
    code = f"""
import sys
from dockertools_py.__main__ import main
main(["load", {str(image)!r}, "-t", "one:1"])
print(*sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    names = {name.removeprefix("dockertools_py.") for name in done.stdout.splitlines()[-1].split()}
    assert "engines.docker" in names
    late = {"formats.image_reader", "formats.stored_images", "formats.archive", "store.produce", "pack.compression"}
    late |= {"subprocess", "tempfile", "engines.containerd", "engines.podman", "engines.programs"}
    assert names & late == set()
