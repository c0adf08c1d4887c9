"""A tree as the members of one layer: what `flattenImage`, `exportImage`, `mkDelta` and `toLayered` write.

Which order? Two are possible. One needs no seeking in layers that are compressed: directories first, then the files layer by
layer in the order of their tars. The other is that of names, as everywhere else here. We take the second: then the bytes follow
from the tree alone. However an image is cut into layers, in whatever order and compression, its flat form is the same,
and what is rebuilt with another cut is not sent again. The price is that compressed layers are uncompressed into the build's
folder while their headers are read (store/opened_layer.py): disk, of which a build has plenty; and it saves inflating each
layer twice, which takes longer than writing it. Memory is that of the tree.

Of several names of one file the first in order has the content, the others are hard links to it. What the top directory is
like is said, as `./`, only where it differs from what every engine makes anyway.
"""

from collections.abc import Iterable, Iterator

from dockertools_py.model.entry import ROOT, Entry, Kind
from dockertools_py.pack.tree import Node, Place, Tree

Member = tuple[Entry, Node]
"""What is written, and where its content is to be found."""

TOP = b"./"
TOP_MODE = 0o755


def flat(tree: Tree) -> Iterator[Member]:
    """All of `tree` as members of one layer."""
    yield from top_member(tree)
    yield from members_of(tree.nodes(), tree)


def top_member(tree: Tree) -> Iterator[Member]:
    """The top directory, if it is not as usual."""
    top = tree.top.entry
    if (top.mode, top.owner, top.xattrs) != (TOP_MODE, ROOT, ()):
        yield top._replace(name=TOP), tree.top


def members_of(nodes: Iterable[tuple[bytes, Node]], tree: Tree) -> Iterator[Member]:
    """Some nodes of `tree`, in the order in which they are given; hard links are among these alone."""
    first_names: dict[Place, bytes] = {}
    for name, node in nodes:
        if node.is_directory():
            yield node.entry._replace(name=name + b"/"), node
        elif node.place in tree.linked and (first := first_names.setdefault(node.place, name)) != name:
            yield node.entry._replace(name=name, kind=Kind.HARDLINK, size=0, link=first), node
        else:
            yield node.entry._replace(name=name), node


def member_name(name: bytes, node: Node) -> bytes:
    """The name by which a path is ordered."""
    return name + b"/" if node.is_directory() else name
