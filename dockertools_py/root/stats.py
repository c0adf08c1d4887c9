"""What stat shows: the disk, unless the table knows better.

A call is answered here only if it would show something else than the disk does: a file with a record, or one of a user whom
our namespace has no number for (the store's root, say), which the kernel would show as 65534 and we show as 0.
"""

import os
import stat
import struct

from dockertools_py.model.entry import Kind
from dockertools_py.root.files import Answer
from dockertools_py.root.kernel import AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, fstatat, statx
from dockertools_py.root.machine import Machine
from dockertools_py.root.paths import Paths, from_here, of_descriptor, signed
from dockertools_py.root.records import Records
from dockertools_py.root.table import Recorded, file_id

NOBODY = 65534
"""/proc/sys/kernel/overflowuid: whom a namespace shows that it has no number for."""
_DEVICES = {Kind.CHARACTER: stat.S_IFCHR, Kind.BLOCK: stat.S_IFBLK}


class Stats:
    """Answers the calls that ask for a file's status."""

    def __init__(self, machine: Machine, records: Records, paths: Paths) -> None:
        self._machine, self._records, self._paths = machine, records, paths

    def answers(self) -> dict[str, Answer]:
        """By the name of the call."""
        return {
            "stat": lambda pid, a: self._stat(pid, AT_FDCWD, a[0], 0, a[1]),
            "lstat": lambda pid, a: self._stat(pid, AT_FDCWD, a[0], AT_SYMLINK_NOFOLLOW, a[1]),
            "fstat": lambda pid, a: self._stat(pid, a[0], 0, AT_EMPTY_PATH, a[1]),
            "newfstatat": lambda pid, a: self._stat(pid, a[0], a[1], a[3], a[2]),
            "statx": lambda pid, a: self._stat(pid, a[0], a[1], a[2], a[4], a[3]),
        }

    def _stat(
        self, pid: int, directory: int, address: int, flags: int, result: int, mask: int | None = None
    ) -> int | None:
        # The most frequent call by far, so it is written out: 8 µs of Python for a file without a record.
        path = self._paths.read(pid, address)
        directory = signed(directory)
        if not path:
            if not flags & AT_EMPTY_PATH:
                return None
            place, follow = of_descriptor(pid, directory), True
        elif self._paths.has_our_root(pid):
            place, follow = from_here(pid, directory, path), not flags & AT_SYMLINK_NOFOLLOW
        else:
            with self._paths.pin(pid, directory, path, flags) as file:
                return self._show(pid, os.fsencode(file.path), True, self._records.get(file.id), result, mask)
        try:
            status = os.stat(place, follow_symlinks=follow)
        except OSError:  # the kernel will say the same
            return None
        recorded = None
        if self._records.may_have(status.st_dev, status.st_ino):
            recorded = self._records.get(file_id(place, follow=follow))
        if recorded is None and status.st_uid != NOBODY != status.st_gid:
            return None
        return self._show(pid, place, follow, recorded, result, mask)

    def _show(
        self, pid: int, place: bytes, follow: bool, recorded: Recorded | None, result: int, mask: int | None
    ) -> int:
        flags = 0 if follow else AT_SYMLINK_NOFOLLOW
        if mask is None:
            shown = _patched(self._machine, fstatat(self._machine, place, flags), recorded)
        else:
            shown = _patched_statx(statx(AT_FDCWD, place, flags, mask & 0xFFFFFFFF), recorded)
        self._paths.memory.write(pid, result, shown)
        return 0


def _patched(machine: Machine, status: bytes, recorded: Recorded | None) -> bytes:
    """A struct stat with what is recorded in it."""
    shown, at = bytearray(status), machine.stat
    uid, gid = (recorded.uid, recorded.gid) if recorded else (0, 0)
    struct.pack_into("=I", shown, at.uid, uid)
    struct.pack_into("=I", shown, at.gid, gid)
    if recorded:
        (mode,) = struct.unpack_from("=I", shown, at.mode)
        struct.pack_into("=I", shown, at.mode, _mode(recorded, mode))
        if recorded.kind in _DEVICES:
            struct.pack_into("=Q", shown, at.device, os.makedev(*recorded.device))
            struct.pack_into("=Q", shown, at.size, 0)
            struct.pack_into("=Q", shown, at.blocks, 0)
    return bytes(shown)


def _patched_statx(status: bytes, recorded: Recorded | None) -> bytes:
    """A struct statx with what is recorded in it."""
    shown = bytearray(status)
    uid, gid = (recorded.uid, recorded.gid) if recorded else (0, 0)
    struct.pack_into("=II", shown, 20, uid, gid)
    if recorded:
        (mode,) = struct.unpack_from("=H", shown, 28)
        struct.pack_into("=H", shown, 28, _mode(recorded, mode))
        if recorded.kind in _DEVICES:
            struct.pack_into("=QQ", shown, 40, 0, 0)
            struct.pack_into("=II", shown, 128, *recorded.device)
    return bytes(shown)


def _mode(recorded: Recorded, mode: int) -> int:
    return _DEVICES.get(recorded.kind, stat.S_IFMT(mode)) | recorded.mode
