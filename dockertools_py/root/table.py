"""What the files of a tree really are, where the file system may not say so.

A build user cannot give a file to somebody else, make a device, or set a set-id bit (Nix's sandbox forbids that one). So
such a file is a plain one of the build user's on disk, and the table notes what stat must show instead. What has no record
is what it seems to be, owned by 0:0.

The key has to survive `mv` and a second hard link, and must not survive `rm`: so it is the inode, and since ext4 gives the
number of a deleted file to the next new one, the time of its birth too. Nobody has to watch renames and deletions then.
"""

import ctypes
import os
import struct
from typing import NamedTuple

from dockertools_py.model.entry import Kind

CAPABILITY = "security.capability"
"""The one xattr that the supervisor keeps for a script; `setcap` writes it."""

_libc = ctypes.CDLL(None, use_errno=True)
_STATX_SIZE = 256
_STATX_INO_AND_BTIME = 0x100 | 0x800
_AT_FDCWD, _AT_SYMLINK_NOFOLLOW, _AT_EMPTY_PATH = -100, 0x100, 0x1000
# struct statx (statx(2)): stx_ino, stx_btime (seconds, nanoseconds), stx_dev_major, stx_dev_minor
_INO_AT, _BTIME_AT, _DEV_AT = 32, 80, 136


class FileId(NamedTuple):
    """A file for as long as it lives, whatever its names: device as in st_dev, inode, birth in ns since 1970 or 0."""

    device: int
    inode: int
    birth_ns: int


class Recorded(NamedTuple):
    """What stat must show of a file. `mode` is the whole of it (0o7777): the one on disk may let its owner do more."""

    uid: int
    gid: int
    mode: int
    kind: Kind
    device: tuple[int, int] = (0, 0)
    """Major and minor of a CHARACTER or BLOCK device, which is an empty file on disk."""
    xattrs: tuple[tuple[str, bytes], ...] = ()


Table = dict[FileId, Recorded]
"""What is known of a tree. Records of files that are gone may stay: nothing can have their id again."""


def file_id(path: bytes | str | os.PathLike[str] | int, *, follow: bool = False) -> FileId:
    """The id of a file, by its path or by a descriptor (O_PATH too). Raises OSError when there is none."""
    if isinstance(path, int):
        directory, name, flags = path, b"", _AT_EMPTY_PATH
    else:
        directory, name, flags = _AT_FDCWD, os.fsencode(path), 0 if follow else _AT_SYMLINK_NOFOLLOW
    status = ctypes.create_string_buffer(_STATX_SIZE)
    if _libc.statx(directory, name, flags, _STATX_INO_AND_BTIME, status) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name or path)
    return parse_id(status.raw)


def parse_id(status: bytes) -> FileId:
    """The id in a struct statx, asked for with at least STATX_INO and STATX_BTIME."""
    (inode,) = struct.unpack_from("=Q", status, _INO_AT)
    seconds, nanoseconds = struct.unpack_from("=qI", status, _BTIME_AT)
    return FileId(os.makedev(*struct.unpack_from("=II", status, _DEV_AT)), inode, seconds * 1_000_000_000 + nanoseconds)
