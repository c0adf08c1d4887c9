"""What must be put on top of one tree so that it becomes another.

Two paths are alike when kind, mode, owner, link target, device, xattrs and content are; times do not count, since no program
depends on them that should be in an image. Files that are hard links of each other are one thing: a layer cannot link
to what lies below it, so when one of these names changes, or joins or leaves, all are written.

Example: the first tree has `a`, `d/x` and `d/y`; in the second `a` is a directory with `b` in it, and `d/y` is gone.

    a/  a/b  d/  d/.wh.y

The directories above what is new or gone are there as well, with their own mode and owner, or an engine would make some up.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dockertools_py.model.whiteout import whiteout
from dockertools_py.pack.flat import TOP, Member, member_name, members_of
from dockertools_py.pack.tree import Node, Place, Tree

SameContent = Callable[[Node, Node], bool]
"""Asked for two files that are alike in all else: the first tree's, the second's."""


@dataclass(frozen=True, slots=True)
class Delta:
    """`members` are what is new or other, in order, with the directories above; `gone` the names that are there no more.

    Names without a trailing `/`, in order; of what is below one that is gone none is listed.
    """

    members: tuple[Member, ...]
    gone: tuple[bytes, ...]
    replaced: tuple[bytes, ...]
    """Directories that became something else, or the reverse: who adds without replacing must remove them first."""

    def layer(self, mtime: int) -> tuple[Member, ...]:
        """As a layer: with whiteouts of that time."""
        hidden = [(entry, Node(entry, -1)) for entry in (whiteout(name, mtime) for name in self.gone)]
        return tuple(sorted((*self.members, *hidden), key=lambda member: member[0].name))

    def removals(self) -> tuple[bytes, ...]:
        """What to remove before `members` are unpacked over the first tree, where whiteouts mean nothing."""
        return tuple(sorted((*self.gone, *self.replaced)))


def delta(old: Tree, new: Tree, same_content: SameContent) -> Delta:
    """What leads from `old` to `new`."""
    old_links, new_links = _names_of_links(old), _names_of_links(new)
    changed: dict[bytes, Node] = {}
    gone: list[bytes] = []
    replaced: list[bytes] = []
    for name, before, after in _pairs(old, new):
        if after is None:
            gone.append(name)
        elif (
            before is None
            or not _alike(before, after)
            # The old names that are left are the new names, or all of them are written.
            or {other for other in old_links.get(before.place, (name,)) if new.get(other) is not None}
            != set(new_links.get(after.place, (name,)))
            or not (after.is_directory() or same_content(before, after))
        ):
            changed[name] = after
            if before is not None and before.is_directory() != after.is_directory():
                replaced.append(name)
    for name in [*changed, *gone]:
        _add_parents(name, changed, new)
    top = [] if _alike(old.top, new.top) else [(new.top.entry._replace(name=TOP), new.top)]
    ordered = sorted(changed.items(), key=lambda item: member_name(*item))
    return Delta((*top, *members_of(ordered, new)), tuple(sorted(gone)), tuple(sorted(replaced)))


def _pairs(old: Tree, new: Tree) -> Iterator[tuple[bytes, Node | None, Node | None]]:
    """Each path below the top with what is there before and after; below one that is gone, none."""
    stack: list[tuple[bytes, Node | None, Node]] = [(b"", old.top, new.top)]
    while stack:
        folder, before, after = stack.pop()
        prefix = folder + b"/" if folder else b""
        was = before.children if before is not None else {}
        for part in was:
            if part not in after.children:
                yield prefix + part, was[part], None
        for part, child in after.children.items():
            name = prefix + part
            if was.get(part) is child:  # the trees share it, with all that is below
                continue
            yield name, was.get(part), child
            if child.is_directory():
                stack.append((name, was.get(part), child))


def _names_of_links(tree: Tree) -> dict[Place, list[bytes]]:
    """All names of each file that has several."""
    names: dict[Place, list[bytes]] = {}
    if tree.linked:
        for name, node in tree.nodes():
            if not node.is_directory() and node.place in tree.linked:
                names.setdefault(node.place, []).append(name)
    return names


def _alike(one: Node, other: Node) -> bool:
    a, b = one.entry, other.entry
    return (a.kind, a.mode, a.owner, a.size, a.link, a.device, a.xattrs) == (
        b.kind,
        b.mode,
        b.owner,
        b.size,
        b.link,
        b.device,
        b.xattrs,
    )


def _add_parents(name: bytes, changed: dict[bytes, Node], new: Tree) -> None:
    while (name := name.rpartition(b"/")[0]) and name not in changed:
        node = new.get(name)
        assert node is not None
        changed[name] = node
