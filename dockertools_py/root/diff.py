"""What scripts did to a tree: a layer from two looks at it, without overlayfs.

The kernel notes in ctime when anything of a file changed: content, mode, owner, links, name; nobody can set it. So a path
has changed exactly when another inode is there, or the same one with another ctime; and a path that was there and is not
is gone. The first look, `snapshot`, is therefore two numbers a path. The second one takes from the tree that was laid out
whatever has not changed, and from the disk and the table all that has. Then the comparison of two trees that everything
else here uses (pack/delta.py) finds the layer: whiteouts, directories that became files, hard links. It also leaves out
what was written again as it had been, such as a cache, since it looks at content where something changed.

    before   etc/passwd 17, 8.1 s   opt/ 18, 8.1 s   opt/a 19, 8.1 s
    after    etc/passwd 23, 9.4 s   opt/ 18, 9.3 s                     -> etc/  etc/passwd  opt/  opt/.wh.a

Two traps. Before Linux 6.13 ctime moves in ticks of up to 10 ms, so a change within the tick of the first look would go
unseen: `snapshot` waits until the clock has moved on. And to move a directory changes neither inode nor ctime of what is
in it; but then the paths are new, or another inode is at them.
"""

import os
import stat
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from dockertools_py.errors import shown
from dockertools_py.model.entry import ROOT, Entry, Kind, Owner
from dockertools_py.pack.delta import delta
from dockertools_py.pack.flat import TOP
from dockertools_py.pack.tree import Node, Place, Tree
from dockertools_py.root.table import Recorded, Table, file_id
from dockertools_py.root.tree import OWNER_ENTERS, OWNER_READS, Content
from dockertools_py.root.uid_range import told

INODE_CACHES = frozenset({b"var/cache/ldconfig/aux-cache"})
"""Files that hold inodes and times of others: of no use in another place, and never the same twice."""

_KINDS = {
    stat.S_IFREG: Kind.FILE,
    stat.S_IFDIR: Kind.DIRECTORY,
    stat.S_IFLNK: Kind.SYMLINK,
    stat.S_IFIFO: Kind.FIFO,
}
_WITHOUT_MEANING = {
    True: "a socket, which means nothing without its program",
    False: "a character device 0:0, which is overlayfs' word for a file that is gone, and no file of an image",
}
_ON_DISK = -2
"""In a place, the number of a layer that there is not: the offset is an inode."""
_SECOND = 1_000_000_000
_TICK = 0.001


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen at first: inode and ctime of each path, and what time it was then, by the file system's clock (ns)."""

    paths: dict[bytes, tuple[int, int]]
    at: int


def snapshot(top: Path) -> Look:
    """Look at everything below `top`, and wait until whatever changes from now on can be told from that."""
    paths: dict[bytes, tuple[int, int]] = {}
    folders = [b""]
    newest = os.lstat(top).st_ctime_ns
    for folder in folders:  # grows while we go through it
        for part, status in _children(_below(os.fsencode(top), folder)):
            name = _below(folder, part)
            paths[name] = (status.st_ino, status.st_ctime_ns)
            newest = max(newest, status.st_ctime_ns)
            if stat.S_ISDIR(status.st_mode):
                folders.append(name)
    return Look(paths, _next_tick(top, newest))


class Diff:
    """The second look: `tree` is what scripts made of `known`, which was laid out below `top` and looked at as `before`.

    `mtime` is the time of all that they wrote; times that were set on purpose, as `cp -a` and `tar xp` do, are kept.
    With `real_ids` owners are those on disk (uid_range.py).
    """

    def __init__(
        self, top: Path, before: Look, known: Tree, table: Table, mtime: int, *, real_ids: bool = False
    ) -> None:
        self._real_ids = real_ids
        self._top, self._before, self._table, self._mtime = os.fsencode(top), before, table, mtime
        self._places = _places_of_inodes(known, before)
        self.tree = Tree()
        self.tree.linked = set(known.linked)
        self.tree.top = Node(self._entry(b"", Kind.DIRECTORY, os.lstat(self._top)), -1)
        self._read(known)

    def layer(self, below: Tree, content: Content) -> tuple[Entry, ...]:
        """The entries which lead from `below`, whose content is `content`, to what is on disk now; in order, the top first."""
        found = delta(below, self.tree, lambda old, new: _same_content(content, old, new))
        entries = (self._readable(entry) for entry, _ in found.layer(self._mtime))
        return tuple(sorted(entries, key=lambda entry: b"" if entry.name == TOP else entry.name))

    def _read(self, known: Tree) -> None:
        folders = [_Folder(b"", self.tree.top, known.top)]
        for folder in folders:  # grows while we go through it: each before what is in it
            for part, status in _children(_below(self._top, folder.name)):
                name = _below(folder.name, part)
                was = folder.known.children.get(part) if folder.known else None
                is_as_known = was is not None and self._before.paths.get(name) == (status.st_ino, status.st_ctime_ns)
                node = was if is_as_known or name in INODE_CACHES else self._changed(name, status)
                if node is None:
                    continue
                if is_as_known and (node.is_directory() or node.place in self.tree.linked):
                    node = Node(node.entry, node.layer, *node.place)
                folder.node.add(part, node)
                if node.is_directory():
                    folders.append(_Folder(name, node, was, folder.node, part, is_as_known))
        for folder in reversed(folders):
            folder.share()

    def _changed(self, name: bytes, status: os.stat_result) -> Node | None:
        """What is at `name`; None for what no layer can hold."""
        kind = _KINDS.get(stat.S_IFMT(status.st_mode))
        if kind is None:
            print(f"/{shown(name)}: {_WITHOUT_MEANING[stat.S_ISSOCK(status.st_mode)]}: left out", file=sys.stderr)
            return None
        place = (_ON_DISK, status.st_ino)
        if kind is not Kind.DIRECTORY and status.st_nlink > 1:
            place = self._places.get(status.st_ino, place)
            self.tree.linked.add(place)
        return Node(self._entry(name, kind, status), -1, *place)

    def _entry(self, name: bytes, kind: Kind, status: os.stat_result) -> Entry:
        path = _below(self._top, name)
        recorded = self._table.get(file_id(path)) if self._table else None
        mtime = status.st_mtime_ns // _SECOND
        if mtime >= self._before.at // _SECOND:  # in seconds: useradd gives its backups a time without a fraction
            mtime = self._mtime
        if self._real_ids:
            recorded = told(status, kind, recorded)
        elif recorded is None:
            recorded = Recorded(*ROOT, stat.S_IMODE(status.st_mode), kind)
        if recorded.kind in (Kind.CHARACTER, Kind.BLOCK):
            kind = recorded.kind
        return Entry(
            name + b"/" if name and kind is Kind.DIRECTORY else name,
            kind,
            recorded.mode,
            Owner(recorded.uid, recorded.gid),
            max(0, mtime),
            status.st_size if kind is Kind.FILE else 0,
            os.readlink(path) if kind is Kind.SYMLINK else b"",
            path,
            device=recorded.device,
            xattrs=recorded.xattrs,
        )

    def _readable(self, entry: Entry) -> Entry:
        """With the place of the content, which we may read from now on, whatever a script thought of that."""
        if entry.kind is not Kind.FILE or not entry.size:
            return entry
        path = _below(self._top, entry.name)
        _allow(path, OWNER_READS)
        return entry._replace(path=path)


@dataclass(slots=True)
class _Folder:
    """A directory that is being read, and what it was."""

    name: bytes
    node: Node
    known: Node | None
    parent: Node | None = None
    part: bytes = b""
    is_as_known: bool = False

    def share(self) -> None:
        """Put the known node in the place of this one if nothing is other in it: then nobody need look again."""
        if self.parent is None or self.known is None or not self.is_as_known:
            return
        was, now = self.known.children, self.node.children
        if len(was) == len(now) and all(was.get(part) is child for part, child in now.items()):
            self.parent.add(self.part, self.known)


def _same_content(content: Content, old: Node, new: Node) -> bool:
    if old.place == new.place or not new.entry.size:
        return True
    _allow(new.entry.path, OWNER_READS)
    with open(new.entry.path, "rb") as file:
        return all(file.read(len(chunk)) == chunk for chunk in content(old))


def _places_of_inodes(known: Tree, before: Look) -> dict[int, Place]:
    """Of files with several names: these may be spread over directories that moved, and stay one file."""
    if not known.linked:
        return {}
    return {before.paths[name][0]: node.place for name, node in known.nodes() if node.place in known.linked}


def _children(folder: bytes) -> list[tuple[bytes, os.stat_result]]:
    """What is in a directory; that no one may look into it, as a script may have wished, does not count for us."""
    try:
        return _listed(folder)
    except PermissionError:  # of the directory, or where it may be read and not entered, of what is in it
        _allow(folder, OWNER_ENTERS)
        return _listed(folder)


def _listed(folder: bytes) -> list[tuple[bytes, os.stat_result]]:
    with os.scandir(folder) as children:
        return [(child.name, child.stat(follow_symlinks=False)) for child in children]


def _allow(path: bytes, needed: int) -> None:
    mode = stat.S_IMODE(os.lstat(path).st_mode)
    if mode & needed != needed:
        os.chmod(path, mode | needed)


def _below(folder: bytes, name: bytes) -> bytes:
    return folder + b"/" + name if folder and name else folder or name


def _next_tick(top: Path, newest: int) -> int:
    """Wait until a change beside `top` gets a ctime after `newest`; that ctime."""
    probe = top.with_name(f"{top.name}.tick")
    try:
        while True:
            probe.touch()
            if (now := probe.lstat().st_ctime_ns) > newest:
                return now
            time.sleep(_TICK)
    finally:
        probe.unlink(missing_ok=True)
