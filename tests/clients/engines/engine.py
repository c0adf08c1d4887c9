"""What the tests ask of every container engine."""

import os
import shutil
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.clients.engines.errors import EngineError
from tests.clients.engines.namespace import Namespace

# Debian keeps daemons and runc in sbin, which is not in every user's PATH.
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# For two workers with an engine each, of which one may hold some 500 MB.
ENOUGH_MEMORY = 6 << 30


@dataclass(frozen=True)
class Inspection:
    """An image as an engine describes it.

    `config` is the `config` object of the OCI image config, and `history` its `history`, oldest first, with at least
    `created_by` for every layer. `diff_ids` are those of the layers, lowest first.
    """

    created: str
    architecture: str
    config: dict[str, Any]
    diff_ids: list[str]
    history: list[dict[str, Any]]


@dataclass(frozen=True)
class Service:
    """A running container, alone with its loopback device in the network namespace at the path `network`."""

    namespace: Namespace
    network: str
    identity: str

    def ask(self, port: int, request: bytes, *, seconds: float = 60) -> str:
        """Send `request` to 127.0.0.1:port as soon as something listens there, and return the answer up to its end."""
        return self.namespace.run(
            ["nsenter", f"--net={self.network}", "--", *python(_ASK), str(port), str(seconds)], stdin=request
        )


class Engine(ABC):
    """A container engine with private state in the folder `state`, whose content `namespace.seen` shows.

    References are those that `load` returned. Every method raises EngineError when the engine refuses or fails.
    """

    # What must be on `path`.
    programs: tuple[str, ...]
    # Whether `save` writes a docker archive with the config's bytes as loaded: so the image id is the same.
    saves_config_as_loaded = True

    def __init__(self, state: Path, *, path: str = SYSTEM_PATH) -> None:
        self.state = state
        self.path = path
        self.namespace = Namespace({"PATH": path, "HOME": str(state), "LC_ALL": "C.UTF-8"})

    def start(self) -> None:
        """Start the engine and return when it answers."""
        self.state.mkdir(parents=True, exist_ok=True)
        self.namespace.start()
        if _available_memory() > ENOUGH_MEMORY:
            # Measured: loads take half the time. The engines write every file to the disk before they go on.
            self.namespace.run(["mount", "-t", "tmpfs", "tmpfs", str(self.state)])

    def stop(self) -> None:
        """End the engine; raises EngineError when it has left mounts below its state. Removes the state."""
        left = self.namespace.mounts_below(self.state) if self.namespace.started else []
        left = [point for point in left if Path(point) != self.state]
        self.namespace.stop()
        shutil.rmtree(self.state)
        if left:
            raise EngineError(f"still mounted after the engine has ended: {left}")

    @abstractmethod
    def load(self, archive: Path) -> list[str]:
        """Load an archive and return the references of its images. Raises Refused unless all of them are whole."""

    @abstractmethod
    def pull(self, name: str) -> str:
        """Pull `127.0.0.1:PORT/repository:tag`, for this machine's platform and without TLS. Returns its reference."""

    @abstractmethod
    def run(
        self, reference: str, argv: Sequence[str] = (), *, user: str | None = None, entrypoint: str | None = None
    ) -> str:
        """Run a container to its end and return its stdout: `argv` in place of Cmd, `entrypoint` of Entrypoint."""

    @abstractmethod
    @contextmanager
    def serve(self, reference: str) -> Iterator[Service]:
        """Run the image's own command as a service for as long as the context lasts."""

    @abstractmethod
    def inspect(self, reference: str) -> Inspection:
        """Describe an image."""

    @abstractmethod
    def save(self, reference: str, to: Path) -> None:
        """Write an image to an archive."""

    @abstractmethod
    def reset(self) -> None:
        """Remove all images with all their layers: an engine never reads a layer again that it has already."""


def familiar(reference: str) -> str:
    """Strip the registry which engines put before names that have none: `name:tag`."""
    for registry in ("docker.io/library/", "localhost/"):
        reference = reference.removeprefix(registry)
    return reference


def _available_memory() -> int:
    """Bytes that can be had without swapping."""
    [line] = [line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemAvailable:")]
    return int(line.split()[1]) << 10


def python(script: str) -> list[str]:
    """Command that runs a script with the interpreter that runs the tests, started as fast as it can be."""
    return [os.path.realpath(sys.executable), "-I", "-S", "-c", script]


# Run in the network namespace of a container. Connecting again and again is the only way to learn that a service is up.
_ASK = """
import socket, sys, time
port, seconds = int(sys.argv[1]), float(sys.argv[2])
deadline = time.monotonic() + seconds
while True:
    try:
        peer = socket.create_connection(("127.0.0.1", port), timeout=seconds)
        break
    except OSError:
        if time.monotonic() > deadline:
            raise
        time.sleep(0.02)
peer.sendall(sys.stdin.buffer.read())
while data := peer.recv(65536):
    sys.stdout.buffer.write(data)
"""
