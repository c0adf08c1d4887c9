"""What chown and chmod do to a file, by the rules of the kernel, with the table as the inode.

An answer is None for "let it happen", a value, or an OSError whose errno the script gets. A change is noted in the table, and
made on disk as far as that is possible, so that the ctime tells that the file changed and a read-only one says EROFS.
"""

import errno
import os
from collections.abc import Callable

from dockertools_py.model.entry import Kind
from dockertools_py.root.capabilities import CHOWN, FOWNER, FSETID
from dockertools_py.root.identity import UNCHANGED, Identities, Identity
from dockertools_py.root.kernel import AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, touch_owner
from dockertools_py.root.paths import Paths, signed
from dockertools_py.root.records import S_ISGID, Pinned, Records, without_privileges
from dockertools_py.root.table import Recorded

Arguments = list[int]
"""The six words of a system call."""
Answer = Callable[[int, Arguments], int | None]
"""What a call of a process (thread) with its arguments gives."""

_FLAGS = AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH


def fail(number: int) -> OSError:
    """The error that the script shall get."""
    return OSError(number, os.strerror(number))


class Files:
    """Answers calls that change a file's owner or mode."""

    def __init__(self, records: Records, identities: Identities, paths: Paths) -> None:
        self._records, self._identities, self._paths = records, identities, paths

    def answers(self) -> dict[str, Answer]:
        """By the name of the call."""
        at, opened = self._paths.pin_at, self._paths.pin_descriptor
        return {
            "chown": lambda pid, a: self._chown(pid, at(pid, AT_FDCWD, a[0]), a[1], a[2]),
            "lchown": lambda pid, a: self._chown(pid, at(pid, AT_FDCWD, a[0], AT_SYMLINK_NOFOLLOW), a[1], a[2]),
            "fchown": lambda pid, a: self._chown(pid, opened(pid, signed(a[0])), a[1], a[2]),
            "fchownat": lambda pid, a: self._chown(pid, at(pid, a[0], a[1], _checked(a[4])), a[2], a[3]),
            "chmod": lambda pid, a: self._chmod(pid, at(pid, AT_FDCWD, a[0]), a[1]),
            "fchmod": lambda pid, a: self._chmod(pid, opened(pid, signed(a[0])), a[1]),
            "fchmodat": lambda pid, a: self._chmod(pid, at(pid, a[0], a[1]), a[2]),
            "fchmodat2": lambda pid, a: self._chmod(pid, at(pid, a[0], a[1], _checked(a[3])), a[2]),
        }

    def _chown(self, pid: int, found: Pinned, uid: int, gid: int) -> int:
        uid, gid = uid & UNCHANGED, gid & UNCHANGED
        with found as file:
            was = self._records.shown(file)
            who = self._identities.of(pid)
            if not who.may(CHOWN):
                _permit_chown(who, was, uid, gid)
            touch_owner(file.descriptor)
            new = was._replace(uid=was.uid if uid == UNCHANGED else uid, gid=was.gid if gid == UNCHANGED else gid)
            self._records.set(file, without_privileges(new))
        return 0

    def _chmod(self, pid: int, found: Pinned, mode: int) -> int:
        mode &= 0o7777
        with found as file:
            was = self._records.shown(file)
            if was.kind is Kind.SYMLINK:
                raise fail(errno.EOPNOTSUPP)
            who = self._identities.of(pid)
            if who.user.files != was.uid and not who.may(FOWNER):
                raise fail(errno.EPERM)
            if not who.may(FSETID) and not who.is_in(was.gid):
                mode &= ~S_ISGID
            os.chmod(file.path, mode & 0o1777)
            file.real_mode = file.real_mode & ~0o7777 | mode & 0o1777
            self._records.set(file, was._replace(mode=mode))
        return 0


def _permit_chown(who: Identity, was: Recorded, uid: int, gid: int) -> None:
    """One who is not root may give an own file to an own group, and no more."""
    is_owner = who.user.files == was.uid
    may_uid = uid == UNCHANGED or (is_owner and uid == was.uid)
    may_gid = gid == UNCHANGED or (is_owner and (gid == was.gid or who.is_in(gid)))
    if not (may_uid and may_gid):
        raise fail(errno.EPERM)


def _checked(flags: int) -> int:
    if flags & ~_FLAGS & 0xFFFFFFFF:
        raise fail(errno.EINVAL)
    return flags
