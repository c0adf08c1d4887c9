"""A network namespace with nothing but a loopback device that is up."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from tests.clients.engines.engine import python
from tests.clients.engines.namespace import Namespace

# SIOCSIFFLAGS with IFF_UP: there is no standard program for this on a small system (`ip` is not essential).
_LOOPBACK_UP = """
import fcntl, socket, struct
fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh22x", b"lo", 1))
"""


@contextmanager
def loopback(namespace: Namespace) -> Iterator[str]:
    """Make a network namespace, give its path, and remove it at the end: for engines that bring up no loopback."""
    path = f"/run/network-{uuid.uuid4().hex}"
    namespace.run(["touch", path])
    namespace.run(["unshare", f"--net={path}", "--", *python(_LOOPBACK_UP)])
    try:
        yield path
    finally:
        namespace.run(["umount", path])
