"""Several trees at one place: equal things merge, anything else is an error that names both."""

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import itemgetter

from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model.entry import Entry, Kind

Same = Callable[[Entry, Entry], bool]


def merge(trees: Sequence[tuple[str, Iterable[Entry]]], same: Same) -> Iterator[Entry]:
    """The entries of all trees in ascending order; each tree is (what names it, its entries in ascending order).

    Directories merge. Of two other entries with one name the first is kept when `same` finds them alike.
    Raises DockertoolsError naming both trees otherwise, and where one has a directory and the other has none.
    """
    tagged = [_tagged(number, entries) for number, (_, entries) in enumerate(trees)]
    last: Entry | None = None
    last_tree = 0
    others: dict[bytes, int] = {}
    for name, tree, entry in heapq.merge(*tagged, key=itemgetter(0, 1)):
        if last is not None and name == last.name:
            if entry.kind is not Kind.DIRECTORY and not same(last, entry):
                raise _conflict(name, trees[last_tree][0], trees[tree][0], "different files")
            continue
        if entry.kind is Kind.DIRECTORY and name[:-1] in others:
            raise _conflict(name, trees[others[name[:-1]]][0], trees[tree][0], "a file and a directory")
        if entry.kind is not Kind.DIRECTORY and len(trees) > 1:
            others[name] = tree
        last, last_tree = entry, tree
        yield entry


def _tagged(tree: int, entries: Iterable[Entry]) -> Iterator[tuple[bytes, int, Entry]]:
    # A function, since a generator expression in a loop would see the loop's last number.
    return ((entry.name, tree, entry) for entry in entries)


def _conflict(name: bytes, first: str, second: str, what: str) -> DockertoolsError:
    return DockertoolsError(
        f"/{shown(name)}: {what} in {first} and in {second}; take one of them out, or put a tree without it in its place"
    )
