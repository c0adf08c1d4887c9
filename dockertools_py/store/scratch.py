"""A tree of our own on disk: a root file system laid out for a script, and read back after it ran.

Other than in a store path, modes mean something here, and hard links are real: the script made them.
"""

import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model.entry import Entry, Kind, Owner

_KINDS = {
    stat.S_IFREG: Kind.FILE,
    stat.S_IFDIR: Kind.DIRECTORY,
    stat.S_IFLNK: Kind.SYMLINK,
    stat.S_IFIFO: Kind.FIFO,
}


def lay_out(entries: Iterable[Entry], top: Path) -> None:
    """Make directories, which a script may write in, links and files of `entries` below `top`, which is there and empty."""
    for entry in entries:
        path = os.fsencode(top) + b"/" + entry.name
        match entry.kind:
            case Kind.DIRECTORY:
                os.mkdir(path, entry.mode | 0o700)
            case Kind.SYMLINK:
                os.symlink(entry.link, path)
            case _:
                if entry.data:
                    Path(os.fsdecode(path)).write_bytes(entry.data)
                else:
                    shutil.copyfile(entry.path, path)
                os.chmod(path, entry.mode)


def scratch_entries(top: Path, owner: Owner, mtime: int) -> Iterator[Entry]:
    """What is below `top`, in order, with its modes; further names of one file are hard links to the first.

    Raises DockertoolsError for sockets and devices, which a layer cannot hold or a build cannot make.
    """
    first_names: dict[tuple[int, int], bytes] = {}
    for name, path, status in _below(os.fsencode(top)):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode))
        if kind is None:
            raise DockertoolsError(f"/{shown(name)}: a socket or a device, which cannot be put in a layer; remove it")
        mode = stat.S_IMODE(status.st_mode)
        if kind is Kind.SYMLINK:
            yield Entry(name, kind, mode, owner, mtime, link=os.readlink(path))
        elif kind is Kind.FILE and status.st_nlink > 1:
            first = first_names.setdefault((status.st_dev, status.st_ino), name)
            if first == name:
                yield Entry(name, kind, mode, owner, mtime, status.st_size, path=path)
            else:
                yield Entry(name, Kind.HARDLINK, mode, owner, mtime, link=first)
        else:
            yield Entry(name, kind, mode, owner, mtime, status.st_size if kind is Kind.FILE else 0, path=path)


def _below(top: bytes) -> Iterator[tuple[bytes, bytes, os.stat_result]]:
    stack = [(b"", top)]
    while stack:
        name, path = stack.pop()
        if name:
            yield name, path, os.lstat(path)
        if not name or name.endswith(b"/"):
            with os.scandir(path) as children:
                listed = [
                    (name + child.name + (b"/" if child.is_dir(follow_symlinks=False) else b""), child.path)
                    for child in children
                ]
            stack += sorted(listed, reverse=True)
