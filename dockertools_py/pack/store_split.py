"""A flat root file system cut into layers by store path: the biggest paths alone, the small ones together, all else last.

The references between the paths are not known, so the order is by name: lowest the paths that are alone, then the others, and
on top what is outside the store. A layer of store paths that are as Nix keeps them (0444 and 0555, mtime 1, owner 0:0, no
xattrs, no hard links) has the bytes that `build` gives a layer of the same paths, so registries and engines share it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from dockertools_py.model.entry import ROOT, Entry, Kind
from dockertools_py.model.references_graph import name_of
from dockertools_py.pack.flat import Member, member_name, members_of, top_member
from dockertools_py.pack.layer import STORE_MTIME
from dockertools_py.pack.planner import FLOOR
from dockertools_py.pack.tree import Node, Tree

STORE = b"nix/store"
HASH_SIZE = 32
_HASH_LETTERS = frozenset(b"0123456789abcdfghijklmnpqrsvwxyz")

_ABOVE = (b"nix/", b"nix/store/")
ABOVE_MODE = 0o755
DIRECTORY_MODE, FILE_MODE, EXECUTABLE_MODE, LINK_MODE = 0o555, 0o444, 0o555, 0o777


@dataclass(frozen=True, slots=True)
class Part:
    """The layer of some store paths, or, without any, the one of all else."""

    paths: tuple[bytes, ...]
    """Names below the top of the tree, `nix/store/…`, in order."""

    def store_paths(self) -> tuple[str, ...]:
        """The same as store paths."""
        return tuple("/" + path.decode("utf-8", "backslashreplace") for path in self.paths)


def split(tree: Tree, budget: int, floor: int = FLOOR) -> tuple[Part, ...]:
    """The parts of a tree, lowest first, `budget` at the most, and at least one."""
    store = tree.get(STORE)
    children = store.children if store is not None else {}
    sizes = {
        member_name(STORE + b"/" + part, child): sum(node.entry.size for _, node in tree.nodes(STORE + b"/" + part))
        for part, child in children.items()
        if is_store_name(part)
    }
    if not sizes or budget < 2:
        return (Part(()),)
    big = sorted((path for path, size in sizes.items() if size >= floor), key=lambda path: (-sizes[path], path))
    rest_is_empty = len(big) == len(sizes) and len(big) <= budget - 1
    alone = set(big[: budget - 1 if rest_is_empty else budget - 2])
    ordered = sorted(alone, key=lambda path: (name_of(path.rstrip(b"/").decode("utf-8", "replace")), path))
    groups = [*([path] for path in ordered), sorted(sizes.keys() - alone)]
    return (*(Part(tuple(path.rstrip(b"/") for path in group)) for group in groups if group), Part(()))


def is_store_name(name: bytes) -> bool:
    """Whether Nix gives such a name to a path in its store: a hash, `-`, and a name."""
    return len(name) > HASH_SIZE + 1 and name[HASH_SIZE] == ord("-") and _HASH_LETTERS.issuperset(name[:HASH_SIZE])


def members(part: Part, parts: Sequence[Part], tree: Tree, *, normalise: bool) -> Iterator[Member]:
    """What a part holds, in order, with the directories above as a layer of ours has them.

    `normalise`: what is in the store gets the modes, owner and time that Nix keeps, and hard links become files.
    """
    if not part.paths:
        taken = {path for other in parts for path in other.paths}
        yield from top_member(tree)
        yield from members_of(_outside(tree, taken), tree)
        return
    nodes = ((name, node) for path in part.paths for name, node in tree.nodes(path))
    found = _in_store(nodes) if normalise else members_of(nodes, tree)
    for number, (entry, node) in enumerate(found):
        if not number:
            for name in _ABOVE:
                above = Entry(name, Kind.DIRECTORY, ABOVE_MODE, ROOT, entry.mtime)
                yield above, Node(above, -1)
        yield entry, node


def as_in_store(entry: Entry) -> Entry:
    """An entry as Nix keeps it in its store."""
    match entry.kind:
        case Kind.DIRECTORY:
            mode = DIRECTORY_MODE
        case Kind.SYMLINK:
            mode = LINK_MODE
        case _:
            mode = EXECUTABLE_MODE if entry.mode & 0o111 else FILE_MODE
    return entry._replace(mode=mode, owner=ROOT, mtime=STORE_MTIME, xattrs=())


def _in_store(nodes: Iterable[tuple[bytes, Node]]) -> Iterator[Member]:
    for name, node in nodes:
        yield as_in_store(node.entry)._replace(name=member_name(name, node)), node


def _outside(tree: Tree, taken: set[bytes]) -> Iterator[tuple[bytes, Node]]:
    """All nodes but those at and below the names `taken`."""
    skip = b"\0"
    for name, node in tree.nodes():
        if name in taken:
            skip = name + b"/"
        elif not name.startswith(skip):
            yield name, node
