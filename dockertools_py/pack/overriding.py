"""Whether composing images keeps what each of them shows.

Layers of independent images can be stacked only where they do not get in each other's way: what a path shows in one of the
images it must show in the stack of all. Directories may have more in them than before, but their mode and owner count.
Times do not: nobody starts another program because of them. A link to a file shows that file, so a copy of it, or a link to
an equal one, changes nothing.
"""

from collections.abc import Callable, Iterator

from dockertools_py.model.entry import Kind
from dockertools_py.pack.tree import Node, Tree

SameContent = Callable[[bytes], bool]

STORE = (b"nix", b"nix/store")
"""Every image with store paths has them, with the owner that it was built for."""


def overridden(own: Tree, merged: Tree, same_content: SameContent) -> Iterator[tuple[bytes, Node, Node | None]]:
    """The paths of `own` that show something else in `merged`: with what they show here and there, None for nothing.

    `same_content` is asked about files that are alike but for it, and about links.
    """
    for name, node in own.nodes():
        other = merged.get(name)
        if name not in STORE and (other is None or not _shows(name, node, other, same_content)):
            yield name, node, other


def _shows(name: bytes, node: Node, other: Node, same_content: SameContent) -> bool:
    if Kind.DIRECTORY in (node.entry.kind, other.entry.kind):
        return _alike(node, other)
    if Kind.SYMLINK in (node.entry.kind, other.entry.kind):
        return _alike(node, other) or same_content(name)
    return _alike(node, other) and same_content(name)


def _alike(one: Node, other: Node) -> bool:
    a, b = one.entry, other.entry
    mine = (a.kind, a.mode, a.owner, a.size, a.link, a.device, a.xattrs)
    return mine == (b.kind, b.mode, b.owner, b.size, b.link, b.device, b.xattrs)
