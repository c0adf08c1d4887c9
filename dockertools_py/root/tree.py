"""An image's tree on disk, for scripts to work on: laid out by a user who may not make most of what is in it.

The build user can neither give files away nor make devices, and Nix's own filter forbids set-id bits and xattrs. So each
such thing becomes what can be made, a plain file with plain modes, and the table notes what it really is; the supervisor
shows that to every program which asks. The layers are merged before (pack/tree.py), so each path is made exactly once, below
directories that we have made ourselves: no link of an image leads out of the tree while it is written.

A script may read and write everything in here, whatever its mode, as root of a namespace may with what is its own. We may
not, and look into all directories before and after: so one that nobody may enter is made so that its owner can, with the
real mode in the table.

Times are kept: Python believes a .pyc by the time of its source, and make builds what is older than its sources.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from dockertools_py.model.entry import ROOT, Entry, Kind
from dockertools_py.pack.tree import Node, Place, Tree
from dockertools_py.pack.verified import Buffer
from dockertools_py.root.table import Recorded, Table, file_id

Content = Callable[[Node], Iterable[Buffer]]
"""The bytes of a file."""

SET_ID = 0o6000
OWNER_READS, OWNER_ENTERS = 0o600, 0o700
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_SECOND = 1_000_000_000


def unpack(tree: Tree, content: Content, top: Path, table: Table) -> None:
    """Make all of `tree` below `top`, an empty directory; `table` learns what the files on disk cannot show.

    Raises DockertoolsError when a layer has less content than it says, and OSError for a full disk.
    """
    root = os.fsencode(top)
    first_names: dict[Place, bytes] = {}
    directories = [(root, tree.top.entry)]
    umask = os.umask(0)
    try:
        for name, node in tree.nodes():
            path = root + b"/" + name
            if node.is_directory():
                os.mkdir(path, 0o700)
                directories.append((path, node.entry))
            elif node.place in tree.linked and (first := first_names.setdefault(node.place, path)) != path:
                os.link(first, path, follow_symlinks=False)
            else:
                _make(node, content, path)
                if is_more(node.entry):
                    _record(path, node.entry, table)
    finally:
        os.umask(umask)
    # Last, since to put something in a directory changes its time; and what is in it before itself.
    for path, entry in reversed(directories):
        os.chmod(path, entry.mode & ~SET_ID | OWNER_ENTERS)
        os.utime(path, ns=_times(entry))
        if is_more(entry):
            _record(path, entry, table)


def _make(node: Node, content: Content, path: bytes) -> None:
    entry = node.entry
    if entry.kind is Kind.SYMLINK:
        os.symlink(entry.link, path)
        os.utime(path, ns=_times(entry), follow_symlinks=False)
        return
    if entry.kind is Kind.FIFO:
        os.mkfifo(path, entry.mode & ~SET_ID)
        os.utime(path, ns=_times(entry))
        return
    file = os.open(path, _NEW, entry.mode & ~SET_ID)  # an empty one in the place of a device
    try:
        if entry.kind is Kind.FILE and entry.size:
            for data in content(node):
                written = os.write(file, data)
                while written < len(data):
                    written += os.write(file, data[written:])
        os.utime(file, ns=_times(entry))
    finally:
        os.close(file)


def is_more(entry: Entry) -> bool:
    """Whether an entry is more than a plain file of ours can be."""
    return bool(
        entry.owner != ROOT
        or entry.mode & SET_ID
        or entry.xattrs
        or entry.kind in (Kind.CHARACTER, Kind.BLOCK)
        or (entry.kind is Kind.DIRECTORY and entry.mode & OWNER_ENTERS != OWNER_ENTERS)
    )


def _record(path: bytes, entry: Entry, table: Table) -> None:
    table[file_id(path)] = Recorded(*entry.owner, entry.mode, entry.kind, entry.device, entry.xattrs)


def _times(entry: Entry) -> tuple[int, int]:
    return entry.mtime * _SECOND, entry.mtime * _SECOND
