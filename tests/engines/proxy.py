"""A proxy at a unix socket that counts what goes to the engine behind it, and can hold it up."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Traffic:
    """Bytes towards the engine; `stall_after` so many of them nothing more goes through, and `stalled` is set."""

    sent: int = 0
    before_load: Callable[[], None] | None = None
    """Called once, before the request that loads an archive goes on."""
    stall_after: int | None = None
    stalled: threading.Event = field(default_factory=threading.Event)

    def passed(self, data: bytes) -> bool:
        if b"POST /images/load" in data and self.before_load:
            action, self.before_load = self.before_load, None
            action()
        self.sent += len(data)
        if self.stall_after is not None and self.sent > self.stall_after:
            self.stalled.set()
            return False
        return True


@contextmanager
def counting(folder: Path, engine: Path) -> Iterator[tuple[Traffic, str]]:
    """A proxy in front of the socket `engine`, and its URL."""
    traffic, path = Traffic(), folder / "counted.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        threading.Thread(target=_accept, args=(server, engine, traffic), daemon=True).start()
        try:
            yield traffic, f"unix://{path}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            path.unlink()


def _accept(server: socket.socket, engine: Path, traffic: Traffic) -> None:
    with suppress(OSError):
        while True:
            client, _ = server.accept()
            there = socket.socket(socket.AF_UNIX)
            there.connect(str(engine))
            threading.Thread(target=_pump, args=(client, there, traffic.passed), daemon=True).start()
            threading.Thread(target=_pump, args=(there, client, lambda data: True), daemon=True).start()


def _pump(source: socket.socket, target: socket.socket, passed: Callable[[bytes], bool]) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 18):
            if passed(data):
                target.sendall(data)
    with suppress(OSError):
        # The other direction may have more to say.
        target.shutdown(socket.SHUT_WR)
