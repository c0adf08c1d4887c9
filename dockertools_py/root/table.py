"""What the files of a tree really are, where the file system may not say so.

A build user cannot give a file to somebody else, make a device, or set a set-id bit (Nix's sandbox forbids that one). So
such a file is a plain one of the build user's on disk, and the table notes what stat must show instead. What has no record
is what it seems to be, owned by 0:0.

The key has to survive `mv` and a second hard link, and must not survive `rm`: so it is the inode, and since ext4 gives the
number of a deleted file to the next new one, the time of its birth too; and since files are born in ticks of some
milliseconds, in which one may go and another come, its handle as well, in which file systems number the lives of an inode.
Nobody has to watch renames and deletions then.
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
_AT_FDCWD, _AT_SYMLINK_NOFOLLOW, _AT_SYMLINK_FOLLOW, _AT_EMPTY_PATH = -100, 0x100, 0x400, 0x1000
_MAX_HANDLE = 128
# struct statx (statx(2)): stx_ino, stx_btime (seconds, nanoseconds), stx_dev_major, stx_dev_minor
_INO_AT, _BTIME_AT, _DEV_AT = 32, 80, 136


class FileId(NamedTuple):
    """A file for as long as it lives, whatever its names."""

    device: int
    """As in st_dev."""
    inode: int
    birth_ns: int
    """Since 1970; 0 where the file system does not know."""
    handle: bytes
    """Of name_to_handle_at(2), with its type; empty where the file system gives none (overlayfs, for example)."""


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
        directory, name, flags, handle_flags = path, b"", _AT_EMPTY_PATH, _AT_EMPTY_PATH
    else:
        directory, name = _AT_FDCWD, os.fsencode(path)
        flags, handle_flags = (0, _AT_SYMLINK_FOLLOW) if follow else (_AT_SYMLINK_NOFOLLOW, 0)
    status = ctypes.create_string_buffer(_STATX_SIZE)
    if _libc.statx(directory, name, flags, _STATX_INO_AND_BTIME, status) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name or path)
    (inode,) = struct.unpack_from("=Q", status, _INO_AT)
    seconds, nanoseconds = struct.unpack_from("=qI", status, _BTIME_AT)
    device = os.makedev(*struct.unpack_from("=II", status, _DEV_AT))
    return FileId(device, inode, seconds * 1_000_000_000 + nanoseconds, _handle(directory, name, handle_flags))


def _handle(directory: int, name: bytes, flags: int) -> bytes:
    handle = ctypes.create_string_buffer(struct.pack("=Ii", _MAX_HANDLE, 0), 8 + _MAX_HANDLE)
    mount = ctypes.c_int()
    if _libc.name_to_handle_at(directory, name, handle, ctypes.byref(mount), flags) < 0:
        return b""
    (length,) = struct.unpack_from("=I", handle)
    return handle.raw[4 : 8 + length]
