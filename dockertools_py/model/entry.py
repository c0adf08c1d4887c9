"""One thing in a layer before it is bytes."""

from enum import Enum
from typing import NamedTuple


class Kind(Enum):
    """What an entry is; the value is its ustar typeflag (POSIX pax, "ustar Interchange Format")."""

    FILE = b"0"
    HARDLINK = b"1"
    SYMLINK = b"2"
    CHARACTER = b"3"
    BLOCK = b"4"
    DIRECTORY = b"5"
    FIFO = b"6"


class Owner(NamedTuple):
    """Numeric owner and group; names are never written, since they mean nothing on another machine."""

    uid: int = 0
    gid: int = 0


ROOT = Owner()


class Entry(NamedTuple):
    """A member of a layer tar. A NamedTuple since one is made for every file (0.4 µs against 1.5 for a dataclass).

    `name` is the member's name: bytes, relative, without `./`, ending in `/` exactly when it is a directory. So the
    order of names as bytes is the order of members, and parents come first.
    """

    name: bytes
    kind: Kind
    mode: int
    owner: Owner = ROOT
    mtime: int = 1
    size: int = 0
    link: bytes = b""
    path: bytes = b""
    """Where a FILE's content is read from; empty when it is in `data`."""
    data: bytes = b""
    device: tuple[int, int] = (0, 0)
    xattrs: tuple[tuple[str, bytes], ...] = ()

    def parent(self) -> bytes:
        """The name of the directory that this is in, `b""` at the top."""
        return self.name[: self.name.rfind(b"/", 0, -1) + 1]
