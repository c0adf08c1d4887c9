"""The layer at `/` before it is written: what is put there, on top of what lies below, while owners and modes still change.

One view of both: a path is looked up in the tree of all layers, its own included. What is changed of the base is taken up
into the layer whole, with its content, as every overlay does it; hard links which the base has to it keep what they show.
"""

from collections.abc import Iterable, Iterator
from typing import Protocol

from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model.entry import Entry, Kind, Owner
from dockertools_py.pack.flat import TOP
from dockertools_py.pack.placing import add_parents
from dockertools_py.pack.tree import Node, Tree

NOT_OURS = (b"nix", b"nix/store")
"""Every image with store paths has them, and Nix says what they are like."""
STORE = b"nix/store/"

MAX_TEXT = 1 << 22
"""Bytes of a file that is read as a whole: of a passwd some 60,000 users."""


class Contents(Protocol):
    """Who has the content of what is put in the layer, of what lies below it, and of the store."""

    def read(self, node: Node) -> bytes:
        """The content of a file."""

    def stored(self, name: bytes) -> bytes | None:
        """The content of a file in the store, at most MAX_TEXT bytes and one; None where nothing is."""

    def copied(self, node: Node) -> tuple[bytes, int]:
        """The path of a file on disk with the content of one that lies below, and its size."""


class Draft:
    """`entries` on top of `tree`, which is theirs from now on."""

    def __init__(self, entries: Iterable[Entry], tree: Tree, contents: Contents, mtime: int) -> None:
        own = tuple(entries)
        self.tree, self.mtime = tree, mtime
        self._contents = contents
        self._entries = {_key(entry): entry for entry in own}
        self._linked: dict[bytes, list[bytes]] = {}
        for entry in own:
            if entry.kind is Kind.HARDLINK:
                self._linked.setdefault(entry.link, []).append(entry.name)
        tree.apply((entry, number) for number, entry in enumerate(own))

    def entries(self) -> tuple[Entry, ...]:
        """What the layer holds now, in order, with the directories above."""
        for name in list(self._entries):
            add_parents(name, self._entries, self.tree)
        # The top is the parent of all, whatever their names begin with.
        return tuple(sorted(self._entries.values(), key=lambda entry: b"" if entry.name == TOP else entry.name))

    def has(self, name: bytes) -> bool:
        """Whether something is in this layer itself."""
        return name in self._entries

    def text(self, name: bytes) -> bytes | None:
        """What reading a path gives, links followed; None where nothing is. Raises DockertoolsError for no small file."""
        there = self.tree.resolve(name)
        node = self.tree.get(there)
        if node is None:
            data = self._contents.stored(there) if there.startswith(STORE) else None
        elif node.entry.kind is not Kind.FILE:
            raise DockertoolsError(f"/{shown(name)}: no file, so no account can be looked up in it or added to it")
        else:
            data = self._contents.read(node) if node.entry.size <= MAX_TEXT else bytes(MAX_TEXT + 1)
        if data is not None and len(data) > MAX_TEXT:
            raise DockertoolsError(f"/{shown(name)}: more than the {MAX_TEXT} bytes that are read")
        return data

    def put(self, entry: Entry) -> None:
        """Add a file or a directory, in the place of what may be there. Its name has no links on its way."""
        self._entries[_key(entry)] = entry
        self.tree.apply([(entry, 0)])

    def change(
        self,
        name: bytes,
        *,
        mode: int | None = None,
        uid: int | None = None,
        gid: int | None = None,
        xattr: tuple[str, bytes] | None = None,
    ) -> None:
        """Give what is there (a link itself, not where it leads) another mode, owner or attribute; an empty one goes."""
        for one in self._names(name):
            node = self.tree.get(one)
            assert node is not None
            old = node.entry
            owner = Owner(old.owner.uid if uid is None else uid, old.owner.gid if gid is None else gid)
            new_mode = old.mode if mode is None else mode
            xattrs = old.xattrs if xattr is None else _with(old.xattrs, *xattr)
            own = self._entries[one] if one in self._entries else self._taken_up(one, node)
            self._entries[one] = own._replace(mode=new_mode, owner=owner, xattrs=xattrs)
            node.entry = old._replace(mode=new_mode, owner=owner, xattrs=xattrs)

    def below(self, start: bytes) -> Iterator[tuple[bytes, Node]]:
        """All paths at and below one, of the base too, but for the store."""
        for name, node in self.tree.nodes(start):
            if name not in NOT_OURS and not name.startswith(STORE):
                yield name, node

    def _names(self, name: bytes) -> list[bytes]:
        """All names in this layer of the file that has one."""
        own = self._entries.get(name)
        first = own.link if own is not None and own.kind is Kind.HARDLINK else name
        return [first, *self._linked.get(first, ())]

    def _taken_up(self, name: bytes, node: Node) -> Entry:
        entry = node.entry
        if node.is_directory():
            return entry._replace(name=name + b"/" if name else TOP)
        if entry.kind is Kind.FILE and (entry.size or entry.link):
            path, size = self._contents.copied(node)
            entry = entry._replace(path=path, size=size, link=b"")
        return entry._replace(name=name)


def _with(xattrs: tuple[tuple[str, bytes], ...], key: str, value: bytes) -> tuple[tuple[str, bytes], ...]:
    others = tuple(xattr for xattr in xattrs if xattr[0] != key)
    return tuple(sorted((*others, (key, value)))) if value else others


def _key(entry: Entry) -> bytes:
    return b"" if entry.name == TOP else entry.name.rstrip(b"/")
