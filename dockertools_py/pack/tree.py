"""The tree that a stack of layers makes: what a container sees, known from headers alone.

Each layer is applied on top of those before it, as OCI image spec 1.1, layer.md, "Applying Changesets" has it: directories
merge and take the upper one's mode and owner; anything else replaces what is there, with all that is below it; whiteouts
hide what is in the layers below, but nothing of their own layer, wherever in it they stand. A hard link is the file
that it leads to at that moment.

No content is read. A node says which layer it is from and where in its tar the content begins, so that whoever wants the
bytes finds them. Names in here have no trailing `/`, and the top is `b""`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model.entry import Entry, Kind
from dockertools_py.model.whiteout import hides

MAX_LINKS = 40
"""As many symbolic links does Linux follow (path_resolution(7))."""


@dataclass(slots=True)
class Node:
    """What is at a path: its entry, the number of the layer that says so, and where its content is.

    `place` is the number of a layer and an offset in its tar: hard links have the same one, and only they.
    """

    entry: Entry
    layer: int
    place: tuple[int, int] = (-1, 0)
    children: dict[bytes, "Node"] = field(default_factory=dict)

    def is_directory(self) -> bool:
        """Whether it can have children."""
        return self.entry.kind is Kind.DIRECTORY


class Tree:
    """What all layers applied so far make together."""

    def __init__(self) -> None:
        self.top = Node(Entry(b"", Kind.DIRECTORY, 0o755), -1)
        self.layers = 0

    def apply(self, members: Iterable[tuple[Entry, int]]) -> None:
        """Put a layer on top: its entries, each with the offset of its content. Raises DockertoolsError.

        A path through something that is no directory makes a directory of it, as Docker's overlay does.
        """
        number, self.layers = self.layers, self.layers + 1
        for entry, offset in members:
            parts = _parts(entry.name)
            if not parts:
                self.top.entry = entry
                continue
            folder = b"".join(part + b"/" for part in parts[:-1])
            if (hidden := hides(folder, parts[-1])) is not None:
                self._hide(hidden, number)
                continue
            self._put(parts, entry, number, offset)

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

    def nodes(self) -> Iterator[tuple[bytes, Node]]:
        """All paths below the top in ascending order of their member names, so each directory before what is in it."""
        stack = [(b"", self.top)]
        while stack:
            name, node = stack.pop()
            if name:
                yield name, node
            prefix = name + b"/" if name else b""
            listed = [(prefix + part, child) for part, child in node.children.items()]
            listed.sort(key=lambda item: item[0] + b"/" if item[1].is_directory() else item[0], reverse=True)
            stack += listed

    def _put(self, parts: list[bytes], entry: Entry, number: int, offset: int) -> None:
        parent = self.top
        for depth, part in enumerate(parts[:-1], start=1):
            child = parent.children.get(part)
            if child is None or not child.is_directory():
                name = b"/".join(parts[:depth]) + b"/"
                child = Node(Entry(name, Kind.DIRECTORY, 0o755, mtime=entry.mtime), number)
                parent.children[part] = child
            parent = child
        last = parts[-1]
        if entry.kind is Kind.HARDLINK:
            target = self.get(entry.link)
            if target is None or target.is_directory():
                raise DockertoolsError(
                    f"{shown(entry.name)}: a hard link to {shown(entry.link)}, which is no file here"
                )
            parent.children[last] = Node(target.entry, number, target.place)
            return
        old = parent.children.get(last)
        if old is not None and old.is_directory() and entry.kind is Kind.DIRECTORY:
            old.entry, old.layer = entry, number
            return
        parent.children[last] = Node(entry, number, (number, offset))

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
            del parent.children[last]


def _prune(node: Node, number: int) -> None:
    """Take away all below a node that is not of layer `number`; a directory stays where something of it stays."""
    below = [(node, part, child) for part, child in node.children.items()]
    for _, _, child in below:  # grows while we go through it: parents before what is in them
        below += [(child, part, grandchild) for part, grandchild in child.children.items()]
    for parent, part, child in reversed(below):
        if child.layer != number and not child.children:
            del parent.children[part]


def _parts(name: bytes) -> list[bytes]:
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise DockertoolsError(f"{shown(name)}: leads out of the tree by `..`")
    return parts
