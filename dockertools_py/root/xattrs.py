"""File capabilities: the one xattr that a script may set, and finds again.

The others would be lies. Who sets an ACL relies on it afterwards; who is told that there are none (`cp -a`, tar) does without.
"""

import errno
import os
import struct

from dockertools_py.root.capabilities import SETFCAP
from dockertools_py.root.files import Answer, Arguments, fail
from dockertools_py.root.identity import Identities
from dockertools_py.root.kernel import AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, touch_owner
from dockertools_py.root.paths import Paths, signed
from dockertools_py.root.records import Pinned, Records
from dockertools_py.root.table import CAPABILITY

_XATTR_CREATE, _XATTR_REPLACE = 1, 2
_XATTR_NAME_MAX = 255
# struct vfs_cap_data (linux/capability.h): magic and revision, then four or five 32-bit words
_LENGTHS = {0x02000000: 20, 0x03000000: 24}


class Xattrs:
    """Answers the calls about xattrs."""

    def __init__(self, records: Records, identities: Identities, paths: Paths) -> None:
        self._records, self._identities, self._paths = records, identities, paths

    def answers(self) -> dict[str, Answer]:
        """By the name of the call."""
        return {
            "setxattrat": self._set_at,
            "getxattrat": self._get_at,
            "listxattrat": lambda pid, a: self._list(pid, self._paths.pin_at(pid, a[0], a[1], a[2]), a[3:]),
            "removexattrat": lambda pid, a: self._remove(pid, self._paths.pin_at(pid, a[0], a[1], a[2]), a[3]),
            "setxattr": lambda pid, a: self._set(pid, self._followed(pid, a), a[1:]),
            "lsetxattr": lambda pid, a: self._set(pid, self._itself(pid, a), a[1:]),
            "fsetxattr": lambda pid, a: self._set(pid, self._opened(pid, a), a[1:]),
            "getxattr": lambda pid, a: self._get(pid, (AT_FDCWD, a[0], 0), a[1:]),
            "lgetxattr": lambda pid, a: self._get(pid, (AT_FDCWD, a[0], AT_SYMLINK_NOFOLLOW), a[1:]),
            "fgetxattr": lambda pid, a: self._get(pid, (a[0], 0, AT_EMPTY_PATH), a[1:]),
            "listxattr": lambda pid, a: self._list(pid, self._followed(pid, a), a[1:]),
            "llistxattr": lambda pid, a: self._list(pid, self._itself(pid, a), a[1:]),
            "flistxattr": lambda pid, a: self._list(pid, self._opened(pid, a), a[1:]),
            "removexattr": lambda pid, a: self._remove(pid, self._followed(pid, a), a[1]),
            "lremovexattr": lambda pid, a: self._remove(pid, self._itself(pid, a), a[1]),
            "fremovexattr": lambda pid, a: self._remove(pid, self._opened(pid, a), a[1]),
        }

    def _followed(self, pid: int, a: Arguments) -> Pinned:
        return self._paths.pin_at(pid, AT_FDCWD, a[0])

    def _itself(self, pid: int, a: Arguments) -> Pinned:
        return self._paths.pin_at(pid, AT_FDCWD, a[0], AT_SYMLINK_NOFOLLOW)

    def _opened(self, pid: int, a: Arguments) -> Pinned:
        return self._paths.pin_descriptor(pid, signed(a[0]))

    def _set_at(self, pid: int, a: Arguments) -> int:
        value, size, flags = self._xattr_args(pid, a)
        return self._set(pid, self._paths.pin_at(pid, a[0], a[1], a[2]), [a[3], value, size, flags])

    def _get_at(self, pid: int, a: Arguments) -> int | None:
        value, size, _ = self._xattr_args(pid, a)
        return self._get(pid, (a[0], a[1], a[2]), [a[3], value, size])

    def _xattr_args(self, pid: int, a: Arguments) -> tuple[int, int, int]:
        if a[5] < 16:  # struct xattr_args of linux/xattr.h
            raise fail(errno.EINVAL)
        value, size, flags = struct.unpack("=QII", self._paths.memory.read(pid, a[4], 16))
        return value, size, flags

    def _set(self, pid: int, found: Pinned, a: Arguments) -> int:
        with found as file:
            if self._name(pid, a[0]) != CAPABILITY:
                raise fail(errno.ENOTSUP)
            if not self._identities.of(pid).may(SETFCAP):
                raise fail(errno.EPERM)
            value = self._paths.memory.read(pid, a[1], min(a[2], 64)) if a[2] else b""
            if len(value) < 4 or len(value) != _LENGTHS.get(struct.unpack_from("<I", value)[0] & 0xFF000000):
                raise fail(errno.EINVAL)
            was = self._records.shown(file)
            if a[3] & _XATTR_CREATE and was.xattrs:
                raise fail(errno.EEXIST)
            if a[3] & _XATTR_REPLACE and not was.xattrs:
                raise fail(errno.ENODATA)
            touch_owner(file.descriptor)
            self._records.set(file, was._replace(xattrs=((CAPABILITY, value),)))
        return 0

    def _remove(self, pid: int, found: Pinned, name: int) -> int | None:
        with found as file:
            was = self._records.shown(file)
            if self._name(pid, name) != CAPABILITY:
                return None
            if not self._identities.of(pid).may(SETFCAP):
                raise fail(errno.EPERM)
            if not was.xattrs:
                raise fail(errno.ENODATA)
            touch_owner(file.descriptor)
            self._records.set(file, was._replace(xattrs=()))
        return 0

    def _get(self, pid: int, place: tuple[int, int, int], a: Arguments) -> int | None:
        if self._name(pid, a[0]) != CAPABILITY:
            return None
        with self._paths.pin_at(pid, *place) as file:
            xattrs = self._records.shown(file).xattrs
        return self._give(pid, dict(xattrs)[CAPABILITY], a[1], a[2]) if xattrs else None

    def _list(self, pid: int, found: Pinned, a: Arguments) -> int | None:
        with found as file:
            xattrs = self._records.shown(file).xattrs
        names = b"".join(name.encode() + b"\0" for name, _ in xattrs)
        return self._give(pid, names, a[0], a[1]) if xattrs else None

    def _give(self, pid: int, value: bytes, address: int, size: int) -> int:
        if size:
            if size < len(value):
                raise fail(errno.ERANGE)
            self._paths.memory.write(pid, address, value)
        return len(value)

    def _name(self, pid: int, address: int) -> str:
        return os.fsdecode(self._paths.memory.read_string(pid, address, _XATTR_NAME_MAX + 1))
