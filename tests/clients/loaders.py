"""`load` and `run` as users start them, against the engines of these tests, with what goes to the engine counted outside."""

import json
import os
import signal
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dockertools_py.model.image_config import ImageConfig
from dockertools_py.model.platform import Platform
from dockertools_py.pack.image import Image
from dockertools_py.pack.layer import PathsSource
from dockertools_py.store.describe import describe
from dockertools_py.store.description import write_image, write_index
from tests.clients.engines.containerd import Containerd
from tests.clients.engines.daemon import Daemon
from tests.clients.engines.docker import Docker
from tests.clients.engines.engine import Engine
from tests.clients.engines.namespace import wait_until
from tests.clients.engines.podman import Podman
from tests.clients.handmade import BUSYBOX
from tests.conftest import CHECKOUT
from tests.engines.proxy import Traffic, counting
from tests.formats.images import CREATED, store_path

PROGRAM = [os.path.realpath(sys.executable), "-I", "-S", "-B", str(CHECKOUT / "dockertools_py")]
SMALL = 8000
"""All that a load says to an engine besides layers, and a layer of a few bytes."""


@dataclass(frozen=True)
class Result:
    """What a command printed, and the bytes that the engine was sent meanwhile."""

    code: int
    stdout: str
    stderr: str
    sent: int

    def loaded(self) -> dict[str, Any]:
        """The last event of `load --json`."""
        assert self.code == 0, self.stderr
        event: dict[str, Any] = json.loads(self.stdout.splitlines()[-1])
        assert event["event"] == "loaded"
        return event


class Loader(ABC):
    """Starts the program so that it talks to `engine`."""

    to: tuple[str, ...]

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine, self.folder = engine, folder

    def load(self, description: Path, *arguments: str) -> Result:
        return self.call("load", *self.to, "--json", *arguments, str(description))

    @abstractmethod
    def call(self, verb: str, *arguments: str) -> Result:
        """Run a verb to its end."""

    @abstractmethod
    def before_load(self, action: Callable[[], None]) -> None:
        """Have `action` done after the engine was asked and before it gets the archive of the next load."""

    @abstractmethod
    def interrupted(self, description: Path, name: str, number: signal.Signals) -> int:
        """The exit code of a load that gets a signal when a megabyte has gone to the engine."""


class SocketLoader(Loader):
    """Through a proxy at a socket, as Docker's command line is told by DOCKER_HOST."""

    to = ()

    def __init__(self, engine: Engine, folder: Path, url: str, traffic: Traffic) -> None:
        super().__init__(engine, folder)
        self._traffic = traffic
        self._environment = os.environ | {"DOCKER_HOST": url, "XDG_CACHE_HOME": str(folder / "cache")}

    def call(self, verb: str, *arguments: str) -> Result:
        before = self._traffic.sent
        command = [*PROGRAM, verb, *arguments]
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, check=False)
        return Result(done.returncode, done.stdout, done.stderr, self._traffic.sent - before)

    def before_load(self, action: Callable[[], None]) -> None:
        self._traffic.before_load = action

    def interrupted(self, description: Path, name: str, number: signal.Signals) -> int:
        self._traffic.stalled.clear()
        self._traffic.stall_after = self._traffic.sent + (1 << 20)
        # Whoever runs the tests in the background has them overlook SIGINT, and so all that they start.
        command = ["env", "--default-signal=INT", *PROGRAM, "load", "-t", name, str(description)]
        process = subprocess.Popen(command, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert self._traffic.stalled.wait(60)
        process.send_signal(number)
        process.communicate(timeout=60)
        self._traffic.stall_after = None
        return process.returncode


class ProgramLoader(Loader):
    """Inside the engine's namespace, with a program of the engine's name on PATH that counts its standard input."""

    def __init__(self, engine: Engine, folder: Path, to: tuple[str, ...], program: str, command: list[str]) -> None:
        super().__init__(engine, folder)
        self.to = to
        self._hook, self._input = self._file("hook"), self._file("input")
        bin_folder = folder / "bin"
        bin_folder.mkdir()
        quoted = " ".join(f"'{word}'" for word in command)
        script = f"""#!/bin/sh
case " $* " in
*" load "* | *" import "*)
  [ ! -e '{self._hook}' ] || {{ sh '{self._hook}' >&2; rm '{self._hook}'; }}
  tee -a '{self._input}' | {quoted} "$@"
  code=$?
  touch '{self._file("finished")}'
  exit $code ;;
*) exec {quoted} "$@" ;;
esac
"""
        (bin_folder / program).write_text(script)
        (bin_folder / program).chmod(0o755)
        self._environment = {
            "PATH": f"{bin_folder}:{engine.path}",
            "XDG_CACHE_HOME": str(folder / "cache"),
        }

    def _file(self, name: str) -> Path:
        return self.folder / name

    def _command(self, verb: str, *arguments: str) -> list[str]:
        environment = [f"{name}={value}" for name, value in self._environment.items()]
        return ["env", "--default-signal=INT", *environment, *PROGRAM, verb, *arguments]

    def call(self, verb: str, *arguments: str) -> Result:
        self._input.unlink(missing_ok=True)
        done = self.engine.namespace.attempt(self._command(verb, *arguments))
        sent = self._input.stat().st_size if self._input.exists() else 0
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode(), sent)

    def before_load(self, action: Callable[[], None]) -> None:
        # The engine is another process: what is to be done there is a shell script.
        raise NotImplementedError

    def script_before_load(self, script: str) -> None:
        self._hook.write_text(script)

    def interrupted(self, description: Path, name: str, number: signal.Signals) -> int:
        # What would read the archive waits; so the pipe to it is full, and the program in the middle.
        hold, reached, finished, pid = map(self._file, ("hold", "reached", "finished", "pid"))
        hold.touch()
        self._hook.write_text(f"touch '{reached}'; while [ -e '{hold}' ]; do sleep 0.02; done\n")
        shell = ["sh", "-c", f"echo $$ >'{pid}'; exec \"$@\"", "sh"]
        command = [*shell, *self._command("load", *self.to, "-t", name, str(description))]
        process = self.engine.namespace.spawn(command, log=self.engine.state / "interrupted.log")
        wait_until(reached.exists, what="an archive is sent")
        self.engine.namespace.run(["kill", f"-{number.name.removeprefix('SIG')}", pid.read_text().strip()])
        code = process.wait(60)
        hold.unlink()
        if number == signal.SIGKILL:
            # Nobody told the engine's program: it goes on, with a part of the archive.
            wait_until(finished.exists, what="the engine's program ends")
        for file in (reached, finished, self._hook):
            file.unlink(missing_ok=True)
        return code


def client_of(engine: Engine) -> list[str]:
    """The command of the engine itself, inside its namespace."""
    assert isinstance(engine, Docker | Podman)
    return engine.client()


@contextmanager
def loader(kind: str, engine: Engine, folder: Path) -> Iterator[Loader]:
    """`kind` is how the engine is reached: `socket`, `program`, `k3s` or `kind`."""
    if isinstance(engine, Docker):
        with counting(folder, engine.namespace.seen(Path("/run/docker.sock"))) as (traffic, url):
            yield SocketLoader(engine, folder, url, traffic)
    elif kind == "socket":
        assert isinstance(engine, Podman)
        service = Daemon(engine.namespace, engine.state / "service.log")
        socket = Path("/run/podman.sock")
        command = engine.client("system", "service", "--time=0", f"unix://{socket}")
        service.start(command, answers=lambda: engine.namespace.seen(socket).exists())
        try:
            with counting(folder, engine.namespace.seen(socket)) as (traffic, url):
                yield SocketLoader(engine, folder, url, traffic)
        finally:
            service.stop()
    elif isinstance(engine, Podman):
        podman = engine.client()
        yield ProgramLoader(engine, folder, ("--to", "podman"), "podman", ["/usr/bin/podman", *podman[1:]])
    else:
        assert isinstance(engine, Containerd)
        yield _containerd_loader(kind, engine, folder)


def _containerd_loader(kind: str, engine: Engine, folder: Path) -> Loader:
    if kind == "k3s":
        # `k3s ctr …` is ctr; the namespace is the one that kubelets know.
        return ProgramLoader(engine, folder, ("--to", "k3s"), "k3s", ["env"])
    if kind == "kind":
        program = 'while [ "$1" != ctr ] && [ "$1" != uname ]; do shift; done; exec "$@"'
        node = f'if [ "$1" = ps ]; then echo node-1 worker; exit; fi; {program}'
        return ProgramLoader(engine, folder, ("--to", "kind:test"), "docker", ["sh", "-c", node, "docker"])
    socket = ("--address", "/run/containerd/containerd.sock")
    # The first ctr on PATH that is not this script.
    ctr = ["env", f"PATH={engine.path}", "ctr"]
    return ProgramLoader(engine, folder, ("--to", "containerd", *socket), "ctr", ctr)


class Versions:
    """Images of a busybox, a base and a top, of which nobody has seen a layer before."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0

    def layer(self, files: dict[str, bytes]) -> PathsSource:
        self._count += 1
        path = store_path(self._folder, f"layer{self._count}", {**files, "salt": os.urandom(32)})
        for file in files:
            os.chmod(f"{path}/{file}", 0o755)
        return PathsSource((path,))

    def busybox(self) -> PathsSource:
        return self.layer({"busybox": BUSYBOX.read_bytes()})

    def index(self, **images: Path) -> Path:
        """A description of an index, of descriptions by architecture."""
        self._count += 1
        folder = self._folder / f"index{self._count}"
        folder.mkdir()
        write_index(folder, [(Platform(name), image) for name, image in images.items()], {})
        return folder

    def image(self, *sources: PathsSource, architecture: str = "amd64") -> Path:
        """A description; what it runs prints the file `text` of the last layer."""
        image = Image(ImageConfig(Platform(architecture)), ()).append(map(describe, sources), CREATED)
        command = [f"{sources[0].paths[0]}/busybox", "cat", f"{sources[-1].paths[0]}/text"]
        self._count += 1
        folder = self._folder / f"image{self._count}"
        folder.mkdir()
        write_image(folder, image.with_config({"Cmd": command}, CREATED))
        return folder
