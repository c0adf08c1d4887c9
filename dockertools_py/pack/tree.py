"""The tree that a stack of layers makes: what a container sees, known from headers alone.

Each layer is applied on top of those before it, as OCI image spec 1.1, layer.md, "Applying Changesets" has it: directories
merge and take the upper one's mode and owner; anything else replaces what is there, with all that is below it; whiteouts
hide what is in the layers below, but nothing of their own layer, wherever in it they stand. A hard link is the file
that it leads to at that moment.

No content is read. A node says which layer it is from and where in its tar the content begins, so that whoever wants the
bytes finds them. Names in here have no trailing `/`, and the top is `b""`.

A base may have a million files, so a node is small: no dict of children before it has one, no tuple for its place. About
600 bytes a path.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model.entry import Entry, Kind
from dockertools_py.model.whiteout import META_PREFIX, OPAQUE, PREFIX, hides

MAX_LINKS = 40
"""As many symbolic links does Linux follow (path_resolution(7))."""

MAX_PATHS = 5_000_000
"""In one tree: members with long names may mean thousands of directories each."""

Place = tuple[int, int]
"""The number of a layer, and the offset of the content in its tar."""

_NO_CHILDREN: Mapping[bytes, "Node"] = MappingProxyType({})


@dataclass(slots=True)
class Node:
    """What is at a path: its entry, the number of the layer that says so, and where its content is.

    The entry of a hard link is that of the file, by the name that it had when it was put in.
    """

    entry: Entry
    layer: int
    origin: int = -1
    offset: int = 0
    own_children: dict[bytes, "Node"] | None = None

    @property
    def place(self) -> Place:
        """Where the content is: hard links have the same place, and only they."""
        return self.origin, self.offset

    @property
    def children(self) -> Mapping[bytes, "Node"]:
        """What is in it, by the last part of its path."""
        return _NO_CHILDREN if self.own_children is None else self.own_children

    def add(self, part: bytes, child: "Node") -> None:
        """Put a child in it, in the place of one that may be there."""
        if self.own_children is None:
            self.own_children = {}
        self.own_children[part] = child

    def remove(self, part: bytes) -> None:
        """Take away a child."""
        assert self.own_children is not None
        del self.own_children[part]
        self.own_children = self.own_children or None

    def is_directory(self) -> bool:
        """Whether it can have children."""
        return self.entry.kind is Kind.DIRECTORY


class Tree:
    """What all layers applied so far make together."""

    def __init__(self) -> None:
        self.top = Node(Entry(b"", Kind.DIRECTORY, 0o755), -1)
        self.layers = 0
        self.linked: set[Place] = set()
        """Places that hard links lead to: all others have one path."""
        self._count = 0

    def apply(self, members: Iterable[tuple[Entry, int]]) -> None:
        """Put a layer on top: its entries, each with the offset of its content. Raises DockertoolsError.

        A path through something that is no directory makes a directory of it, as Docker's overlay does.
        """
        number, self.layers = self.layers, self.layers + 1
        hidden_here: set[bytes] = set()
        for entry, offset in members:
            parts = _parts(entry.name)
            if not parts:
                if entry.kind is not Kind.DIRECTORY:
                    raise DockertoolsError(f"{shown(entry.name)}: the top of the tree, but no directory")
                self.top.entry = entry._replace(name=b"")
                continue
            if not entry.name.startswith(PREFIX) and b"/" + PREFIX not in entry.name:
                self._put(parts, entry, number, offset)
                continue
            hidden = _hidden(parts)
            # Once is enough: what comes after is this layer's own.
            if hidden is not None and hidden not in hidden_here:
                hidden_here.add(hidden)
                self._hide(hidden, number)

    def copy(self) -> "Tree":
        """The same tree, to be changed by itself."""
        other = Tree()
        other.layers, other.linked, other._count = self.layers, set(self.linked), self._count
        other.top = _alone(self.top)
        stack = [(self.top, other.top)]
        while stack:
            node, its_copy = stack.pop()
            for part, child in node.children.items():
                new = _alone(child)
                its_copy.add(part, new)
                if child.own_children:
                    stack.append((child, new))
        return other

    def get(self, name: bytes) -> Node | None:
        """What is at a path, links not followed."""
        node: Node | None = self.top
        for part in _parts(name):
            node = node.children.get(part) if node else None
        return node

    def resolve(self, name: bytes) -> bytes:
        """The path with the links in all of its parts followed, inside the tree; what is not there stays as it is.

        Raises DockertoolsError for links in a circle.
        """
        done: list[bytes] = []
        left = list(reversed(_parts(name)))
        links = 0
        while left:
            part = left.pop()
            if part == b"..":
                del done[-1:]
                continue
            node = self.get(b"/".join([*done, part]))
            if node is None or node.entry.kind is not Kind.SYMLINK:
                done.append(part)
                continue
            links += 1
            if links > MAX_LINKS:
                raise DockertoolsError(f"/{shown(name)}: more than {MAX_LINKS} symbolic links on the way: a circle?")
            if node.entry.link.startswith(b"/"):
                done.clear()
            left += [p for p in reversed(node.entry.link.split(b"/")) if p not in (b"", b".")]
        return b"/".join(done)

    def nodes(self, start: bytes = b"") -> Iterator[tuple[bytes, Node]]:
        """All paths below the top in ascending order of their member names, so each directory before what is in it.

        With `start` that path, if it is there, and what is below it.
        """
        first = self.get(start)
        if first is None:
            return
        if start:
            yield start, first
        # A directory may have a million files: of what is still to come only the parts of the names are held.
        stack = [(start + b"/" if start else b"", first, _in_order(first))]
        while stack:
            prefix, folder, parts = stack[-1]
            part = next(parts, None)
            if part is None:
                stack.pop()
                continue
            name, node = prefix + part, folder.children[part]
            yield name, node
            if node.own_children:
                stack.append((name + b"/", node, _in_order(node)))

    def _put(self, parts: list[bytes], entry: Entry, number: int, offset: int) -> None:
        parent = self.top
        for depth, part in enumerate(parts[:-1], start=1):
            child = parent.children.get(part)
            if child is None or not child.is_directory():
                name = b"/".join(parts[:depth]) + b"/"
                child = Node(Entry(name, Kind.DIRECTORY, 0o755, mtime=entry.mtime), number)
                self._add(parent, part, child)
            parent = child
        last = parts[-1]
        if entry.kind is Kind.HARDLINK:
            target = self.get(entry.link)
            if target is None or target.is_directory():
                raise DockertoolsError(
                    f"{shown(entry.name)}: a hard link to {shown(entry.link)}, which is no file here"
                )
            self.linked.add(target.place)
            self._add(parent, last, Node(target.entry, number, *target.place))
            return
        old = parent.children.get(last)
        if old is not None and old.is_directory() and entry.kind is Kind.DIRECTORY:
            old.entry, old.layer = entry, number
            return
        self._add(parent, last, Node(entry, number, number, offset))

    def _add(self, parent: Node, part: bytes, child: Node) -> None:
        self._count += 1
        if self._count > MAX_PATHS:
            raise DockertoolsError(f"more than {MAX_PATHS} paths, of which some are directories that have no entry")
        parent.add(part, child)

    def _hide(self, name: bytes, number: int) -> None:
        """Take away what is at a path, or below one that ends in `/`, unless it is of layer `number` itself."""
        node = self.get(name)
        if node is None:
            return
        _prune(node, number)
        if name and not name.endswith(b"/") and node.layer != number and not node.children:
            *folder, last = _parts(name)
            parent = self.get(b"/".join(folder))
            assert parent is not None
            parent.remove(last)


def _alone(node: Node) -> Node:
    """A node that is like another, without its children."""
    return Node(node.entry, node.layer, node.origin, node.offset)


def _in_order(folder: Node) -> Iterator[bytes]:
    """The parts of what is in a directory, in the order of member names."""
    children = folder.children
    return iter(sorted(children, key=lambda part: part + b"/" if children[part].is_directory() else part))


def _prune(node: Node, number: int) -> None:
    """Take away all below a node that is not of layer `number`; a directory stays where something of it stays."""
    below = [(node, part, child) for part, child in node.children.items()]
    for _, _, child in below:  # grows while we go through it: parents before what is in them
        below += [(child, part, grandchild) for part, grandchild in child.children.items()]
    for parent, part, child in reversed(below):
        if child.layer != number and not child.children:
            parent.remove(part)


def _hidden(parts: list[bytes]) -> bytes | None:
    """What a member hides of which some part begins as whiteouts do; None for what AUFS notes for itself at the top.

    Raises DockertoolsError where engines would take away a directory, or all.
    """
    *folder, last = parts
    if parts[0].startswith(META_PREFIX) and parts != [OPAQUE]:
        return None
    hidden = hides(b"".join(part + b"/" for part in folder), last)
    if hidden is None or last in (PREFIX + b".", PREFIX + b"..") or any(part.startswith(PREFIX) for part in folder):
        raise DockertoolsError(f"{shown(b'/'.join(parts))}: a whiteout of nothing that a layer may hide")
    return hidden


def _parts(name: bytes) -> list[bytes]:
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise DockertoolsError(f"{shown(name)}: leads out of the tree by `..`")
    return parts
