"""Whose a new file is: of the process that makes it, or of its directory's group.

What root creates is 0:0, and so is what we create: then, which is nearly always, the call just happens. It is made here
instead, in the name of the process, when it must be recorded as something else:

    a device      which only real root can make: an empty file takes its place
    another user  a process that has become uid 1000 (identity.py) leaves files of 1000
    set-gid       what is made in such a directory gets its group, and a directory made there the bit as well
    set-id file   no file on disk has such bits: the kernel would take them away at the next write, which root's keep

A file that is opened with O_CREAT is opened here, and the process is given the descriptor.
"""

import errno
import fcntl
import os
import stat
import struct
from collections.abc import Callable

from dockertools_py.model.entry import Kind
from dockertools_py.root.capabilities import FSETID, MKNOD
from dockertools_py.root.files import Answer, Arguments, fail
from dockertools_py.root.filter import SET_ID
from dockertools_py.root.identity import Identities
from dockertools_py.root.kernel import AT_FDCWD, AT_SYMLINK_NOFOLLOW
from dockertools_py.root.paths import Paths, signed
from dockertools_py.root.records import S_ISGID, S_IXGRP, Pinned, Records
from dockertools_py.root.table import Recorded

_DEVICES = {stat.S_IFCHR: Kind.CHARACTER, stat.S_IFBLK: Kind.BLOCK}
_O_TMPFILE = 0o20000000
_CREAT_FLAGS = os.O_CREAT | os.O_WRONLY | os.O_TRUNC

Give = Callable[[int, int], None]
"""Gives the process that waits a copy of a descriptor, with O_CLOEXEC or 0, as the result of its call."""


class Created(Exception):
    """The call was answered by giving a descriptor: there is no other answer to it."""


class Creation:
    """Answers the calls that make files."""

    def __init__(self, records: Records, identities: Identities, paths: Paths, give: Give) -> None:
        self._records, self._identities, self._paths, self._give = records, identities, paths, give

    def answers(self) -> dict[str, Answer]:
        """By the name of the call."""
        return {
            "mknod": lambda pid, a: self._mknod(pid, AT_FDCWD, a[0], a[1], a[2]),
            "mknodat": lambda pid, a: self._mknod(pid, a[0], a[1], a[2], a[3]),
            "mkdir": lambda pid, a: self._mkdir(pid, AT_FDCWD, a[0], a[1]),
            "mkdirat": lambda pid, a: self._mkdir(pid, a[0], a[1], a[2]),
            "symlink": lambda pid, a: self._symlink(pid, a[0], AT_FDCWD, a[1]),
            "symlinkat": lambda pid, a: self._symlink(pid, a[0], a[1], a[2]),
            "creat": lambda pid, a: self._open(pid, AT_FDCWD, a[0], _CREAT_FLAGS, a[1]),
            "open": lambda pid, a: self._open(pid, AT_FDCWD, a[0], a[1], a[2]),
            "openat": lambda pid, a: self._open(pid, a[0], a[1], a[2], a[3]),
            "openat2": self._openat2,
        }

    def _just_happens(self, pid: int) -> bool:
        """Whether what the process creates is 0:0 in any case."""
        return not self._records.has_set_gid_directories and self._is_root(pid)

    def _is_root(self, pid: int) -> bool:
        who = self._identities.of(pid)
        return who.user.files == 0 == who.group.files

    def _mknod(self, pid: int, directory: int, address: int, mode: int, device: int) -> int | None:
        kind = _DEVICES.get(stat.S_IFMT(mode))
        device &= 0xFFFFFFFF
        if kind is Kind.CHARACTER and device == 0:  # overlayfs' whiteout, which everybody may make
            kind = None
        if kind is None and not mode & SET_ID and self._just_happens(pid):
            return None
        may_make_devices = self._identities.of(pid).may(MKNOD)
        asked, mode = mode, mode & ~self._umask(pid) & 0xFFFF

        def make(path: bytes) -> None:
            if kind is None:
                os.mknod(path, mode & ~SET_ID, device)
            elif not may_make_devices:
                raise fail(errno.EEXIST if os.path.lexists(path) else errno.EPERM)
            else:
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, mode & 0o777))

        self._make(pid, directory, address, make)
        with self._paths.pin_at(pid, directory, address, AT_SYMLINK_NOFOLLOW) as file:
            made = self._records.shown(file)._replace(mode=mode & 0o7777)
            if kind is not None:
                made = made._replace(kind=kind, device=(os.major(device), os.minor(device)))
            self._record(pid, file, made, directory, address, asked=asked)
        return 0

    def _mkdir(self, pid: int, directory: int, address: int, mode: int) -> int | None:
        if self._just_happens(pid):
            return None
        mode = mode & ~self._umask(pid) & 0o1777
        self._make(pid, directory, address, lambda path: os.mkdir(path, mode))
        with self._paths.pin_at(pid, directory, address, AT_SYMLINK_NOFOLLOW) as file:
            self._record(pid, file, self._records.shown(file), directory, address)
        return 0

    def _symlink(self, pid: int, target_address: int, directory: int, address: int) -> int | None:
        if self._just_happens(pid):
            return None
        target = self._paths.read(pid, target_address)
        self._make(pid, directory, address, lambda path: os.symlink(target, path))
        with self._paths.pin_at(pid, directory, address, AT_SYMLINK_NOFOLLOW) as file:
            self._record(pid, file, self._records.shown(file), directory, address)
        return 0

    def _openat2(self, pid: int, a: Arguments) -> int | None:
        # RESOLVE_ flags (struct open_how of linux/openat2.h) are the kernel's to follow: such a file is left to it.
        flags, mode, resolve = struct.unpack("=3Q", self._paths.memory.read(pid, a[2], 24))
        return None if resolve else self._open(pid, a[0], a[1], flags, mode)

    def _open(self, pid: int, directory: int, address: int, flags: int, mode: int) -> int | None:
        if not flags & (os.O_CREAT | _O_TMPFILE) or (not mode & SET_ID and self._just_happens(pid)):
            return None
        path = self._paths.read(pid, address)
        has_name = not flags & _O_TMPFILE
        asked, mode = mode, mode & ~self._umask(pid) & 0o7777
        with self._paths.seen_from(pid, signed(directory), path) as found:
            if has_name and os.path.exists(found):
                return None
            # What is there by now may be a fifo that nobody reads: that must not stop all the others.
            opened = os.open(found, flags | os.O_NONBLOCK | os.O_CLOEXEC, mode & ~SET_ID)
        try:
            fcntl.fcntl(opened, fcntl.F_SETFL, flags & ~os.O_NONBLOCK | flags & os.O_NONBLOCK)
            with Pinned(os.dup(opened)) as file:
                made = self._records.shown(file)._replace(mode=mode)
                self._record(pid, file, made, directory, address, asked=asked, parent=None if has_name else path)
            self._give(opened, flags & os.O_CLOEXEC)
        finally:
            os.close(opened)
        raise Created

    def _make(self, pid: int, directory: int, address: int, make: Callable[[bytes], None]) -> None:
        path = self._paths.read(pid, address)
        if not path:
            raise fail(errno.ENOENT)
        with self._paths.seen_from(pid, signed(directory), path) as found:
            make(found)

    def _record(
        self,
        pid: int,
        file: Pinned,
        made: Recorded,
        directory: int,
        address: int,
        *,
        asked: int = 0,
        parent: bytes | None = None,
    ) -> None:
        """Note whose a new file is (inode_init_owner and mode_strip_sgid in fs/inode.c); `asked` is its mode before umask."""
        who = self._identities.of(pid)
        made = made._replace(uid=who.user.files, gid=who.group.files)
        if self._records.has_set_gid_directories:
            if parent is None:
                parent = os.path.dirname(self._paths.read(pid, address).rstrip(b"/")) or b"."
            with self._paths.pin(pid, signed(directory), parent, 0) as above:
                found = self._records.shown(above)
            if found.mode & S_ISGID:
                made = made._replace(gid=found.gid)
                if made.kind is Kind.DIRECTORY:
                    made = made._replace(mode=made.mode | S_ISGID)
                elif asked & S_IXGRP and not who.may(FSETID) and not who.is_in(found.gid):
                    made = made._replace(mode=made.mode & ~S_ISGID)
        self._records.set(file, made)

    def _umask(self, pid: int) -> int:
        with open(f"/proc/{pid}/status", "rb") as status:
            line = next((line for line in status if line.startswith(b"Umask:")), None)
        if line is None:  # killed while its call waits: what is left of it has no umask, and hears no answer
            raise fail(errno.ESRCH)
        return int(line.split()[1], 8)
