"""The table while a script works on it: found by what the quickest stat says, and kept small.

Nearly every stat of a script is of a file without a record. So the first look is by (device, inode) alone, which a plain
stat gives; only for a hit the whole id is asked for.
"""

import os
import stat

from dockertools_py.model.entry import Kind
from dockertools_py.root.table import FileId, Recorded, Table, file_id

_KINDS = {
    stat.S_IFREG: Kind.FILE,
    stat.S_IFDIR: Kind.DIRECTORY,
    stat.S_IFLNK: Kind.SYMLINK,
    stat.S_IFIFO: Kind.FIFO,
    stat.S_IFCHR: Kind.CHARACTER,
    stat.S_IFBLK: Kind.BLOCK,
    stat.S_IFSOCK: Kind.FILE,  # no layer can hold one, and its type is never changed
}
S_ISUID, S_ISGID, S_IXGRP = stat.S_ISUID, stat.S_ISGID, stat.S_IXGRP


class Pinned:
    """A file held by an O_PATH descriptor, so that whatever is done to it is done to one file; closed after use."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __enter__(self) -> "Pinned":
        status = os.stat(self.descriptor)
        self.id = file_id(self.descriptor)
        self.real_mode, self.real_device = status.st_mode, status.st_rdev
        return self

    def __exit__(self, *exc: object) -> None:
        os.close(self.descriptor)

    @property
    def path(self) -> str:
        """A path that leads to it, for calls which take no such descriptor."""
        return f"/proc/self/fd/{self.descriptor}"

    def plain(self) -> Recorded:
        """What it seems to be."""
        kind = _KINDS[stat.S_IFMT(self.real_mode)]
        device = (
            (os.major(self.real_device), os.minor(self.real_device)) if kind in (Kind.CHARACTER, Kind.BLOCK) else (0, 0)
        )
        return Recorded(0, 0, stat.S_IMODE(self.real_mode), kind, device)


class Records:
    """What is recorded of the files that exist."""

    def __init__(self, table: Table) -> None:
        self._known: dict[tuple[int, int], tuple[FileId, Recorded]] = {}
        self.has_set_id_files = self.has_set_gid_directories = False
        """Whether there ever was one; until then nobody need look for them."""
        for key, recorded in table.items():
            self._put(key, recorded)

    def table(self) -> Table:
        """All of it."""
        return dict(self._known.values())

    def may_have(self, device: int, inode: int) -> bool:
        """Whether to look closer; false for nearly all files."""
        return (device, inode) in self._known

    def get(self, key: FileId) -> Recorded | None:
        """The record of a file."""
        found = self._known.get(key[:2])
        return found[1] if found is not None and found[0] == key else None

    def shown(self, file: Pinned) -> Recorded:
        """What stat must show of a file."""
        return self.get(file.id) or file.plain()

    def set(self, file: Pinned, recorded: Recorded) -> None:
        """Record it, or forget it when it is just what it seems to be."""
        if recorded == file.plain():
            self._known.pop(file.id[:2], None)
        else:
            self._put(file.id, recorded)

    def _put(self, key: FileId, recorded: Recorded) -> None:
        self._known[key[:2]] = key, recorded
        if recorded.kind is Kind.DIRECTORY:
            self.has_set_gid_directories |= bool(recorded.mode & S_ISGID)
        elif recorded.kind is Kind.FILE:
            self.has_set_id_files |= bool(recorded.mode & (S_ISUID | S_ISGID))


def without_privileges(recorded: Recorded) -> Recorded:
    """After a chown, which takes set-id bits and capabilities from all but directories (chown_common in fs/open.c).

    A set-gid bit without execution for the group means something else, mandatory locking, and stays for root.
    """
    if recorded.kind is Kind.DIRECTORY:
        return recorded
    gone = S_ISUID | (S_ISGID if recorded.mode & S_IXGRP else 0)
    return recorded._replace(mode=recorded.mode & ~gone, xattrs=())
