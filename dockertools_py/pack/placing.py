"""Putting entries on top of what is there, as COPY in a Dockerfile does it.

A base whose `/bin` is a link to `usr/bin` stays so: what is meant for `/bin` goes to `/usr/bin`. Were it written to `bin/` in
the new layer, the link would be hidden by a directory, and with it every program of the base. Directories which the base has
keep its mode and owner.
"""

from collections.abc import Callable, Container, Iterable, Iterator
from functools import cache

from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model.entry import Entry, Kind
from dockertools_py.pack.tree import Tree


def place(entries: Iterable[Entry], tree: Tree, same: Callable[[Entry, Entry], bool]) -> tuple[Entry, ...]:
    """`entries` where they belong in `tree`, in order, with all directories above them.

    Two that come to the same place must be alike (`same`). Raises DockertoolsError otherwise.
    """
    placed: dict[bytes, Entry] = {}
    resolve = cache(tree.resolve)  # the files of a directory share its way
    for entry in entries:
        name = _place(entry.name, resolve, follow=entry.kind is Kind.DIRECTORY)
        moved = entry._replace(name=name)
        if entry.kind is Kind.DIRECTORY:
            moved = _directory(name, tree, entry)._replace(name=name + b"/")
        elif entry.kind is Kind.HARDLINK:
            moved = moved._replace(link=_place(entry.link, resolve, follow=False))
        other = placed.get(name)
        if other is None or (other.kind is Kind.DIRECTORY and moved.kind is Kind.DIRECTORY):
            placed[name] = other or moved
        elif Kind.DIRECTORY in (other.kind, moved.kind) or not same(other, moved):
            raise DockertoolsError(
                f"/{shown(entry.name)}: the base's links make it /{shown(name)}, where something else is put already"
            )
    for name in list(placed):
        add_parents(name, placed, tree)
    return tuple(sorted(placed.values(), key=lambda entry: entry.name))


def without_what_is_there(entries: Iterable[Entry], yielding: Container[bytes], tree: Tree) -> Iterator[Entry]:
    """`entries` without the files and links of those names in whose place the tree has something."""
    resolve = cache(tree.resolve)
    for entry in entries:
        if entry.name not in yielding or tree.get(_place(entry.name, resolve, follow=False)) is None:
            yield entry


def _place(name: bytes, resolve: Callable[[bytes], bytes], *, follow: bool) -> bytes:
    """Where `name` leads in the tree; its last part is followed only where it is a directory for us."""
    name = name.rstrip(b"/")
    if follow:
        return resolve(name)
    folder, slash, last = name.rpartition(b"/")
    return resolve(folder) + slash + last if slash else last


def _directory(name: bytes, tree: Tree, default: Entry) -> Entry:
    node = tree.get(name)
    return node.entry if node is not None and node.is_directory() else default


def add_parents(name: bytes, placed: dict[bytes, Entry], tree: Tree) -> None:
    """Add the directories above `name` that `placed`, by names without a trailing `/`, does not have: as the tree has them."""
    mtime = placed[name].mtime
    while (name := name.rpartition(b"/")[0]) and name not in placed:
        default = Entry(name + b"/", Kind.DIRECTORY, 0o755, mtime=mtime)
        placed[name] = _directory(name, tree, default)._replace(name=name + b"/")
