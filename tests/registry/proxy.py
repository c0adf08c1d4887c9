"""A proxy of the tests' own between a client and a real registry: it counts, drops connections and holds them up."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Proxy:
    """Passes bytes on to `target`; what it does when `limit` bytes have come from clients is up to `holds`."""

    target: tuple[str, int]
    sent: int = 0
    """Bytes from clients to the registry, headers included."""
    limits: list[int] = field(default_factory=list)
    """Each is used once, counted from the one before: then the connection drops, or is held up."""
    holds: bool = False
    held: threading.Event = field(default_factory=threading.Event)
    """Set when a connection is held up."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _since: int = 0

    def after(self, *limits: int, holds: bool = False) -> None:
        """From now on, drop connections, or hold them up, after so many bytes each."""
        with self._lock:
            self.limits, self.holds, self._since = list(limits), holds, 0
            self.held.clear()

    def passes(self, count: int) -> int:
        """How many of `count` bytes are passed on before something happens."""
        with self._lock:
            if self.limits and self._since + count >= self.limits[0]:
                count = self.limits.pop(0) - self._since
                self._since = 0
                self.sent += count
                return count
            self._since += count
            self.sent += count
            return -1

    def serve(self, client: socket.socket) -> None:
        """One connection, in both directions."""
        with client, socket.create_connection(self.target) as there:
            back = threading.Thread(target=self._copy_back, args=(there, client), daemon=True)
            back.start()
            with suppress(OSError):
                while data := client.recv(1 << 16):
                    stop = self.passes(len(data))
                    there.sendall(data if stop < 0 else data[:stop])
                    if stop >= 0 and self.holds:
                        self.held.set()
                        client.recv(1, socket.MSG_PEEK)
                        while client.recv(1 << 16):
                            pass  # swallowed, until the client goes away
                    if stop >= 0:
                        break
            for end in (there, client):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            back.join(10)

    def _copy_back(self, there: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while data := there.recv(1 << 16):
                client.sendall(data)
            client.shutdown(socket.SHUT_WR)


@contextmanager
def proxied(host: str) -> Iterator[tuple[str, Proxy]]:
    """`127.0.0.1:PORT` of a proxy before a registry, and the proxy."""
    name, _, port = host.partition(":")
    proxy = Proxy((name, int(port)))
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    client, _ = server.accept()
                    threading.Thread(target=proxy.serve, args=(client,), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}", proxy
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(10)
