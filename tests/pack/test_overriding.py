"""What composing would change of an image."""

import pytest

from dockertools_py.model.entry import Entry, Kind, Owner
from dockertools_py.model.whiteout import whiteout
from dockertools_py.pack.overriding import overridden
from dockertools_py.pack.tree import Tree


def directory(name: bytes, mode: int = 0o755) -> Entry:
    return Entry(name + b"/", Kind.DIRECTORY, mode)


def file(name: bytes, size: int = 0, mode: int = 0o644, owner: Owner = Owner(1, 2)) -> Entry:  # noqa: B008
    return Entry(name, Kind.FILE, mode, owner, size=size)


def tree_of(*layers: list[Entry]) -> Tree:
    tree = Tree()
    for layer in layers:
        tree.apply((entry, 0) for entry in layer)
    return tree


def changed(below: list[Entry], above: list[Entry], same: bool = False) -> list[bytes]:
    return [name for name, _, _ in overridden(tree_of(below), tree_of(below, above), lambda _: same)]


@pytest.mark.parametrize(
    "above",
    [
        [directory(b"a"), file(b"a/y")],  # beside it
        [directory(b"b"), whiteout(b"b/x", 1)],  # of what is not there
        [directory(b"nix", 0o700)],  # every image has it
    ],
)
def test_what_stays(above: list[Entry]) -> None:
    assert changed([directory(b"a"), file(b"a/x"), directory(b"nix")], above, same=True) == []


@pytest.mark.parametrize(
    ("above", "path"),
    [
        ([directory(b"a", 0o700)], b"a"),
        ([directory(b"a"), file(b"a/x", 5)], b"a/x"),
        ([directory(b"a"), file(b"a/x", mode=0o755)], b"a/x"),
        ([directory(b"a"), file(b"a/x", owner=Owner(0, 0))], b"a/x"),
        ([file(b"a")], b"a"),
        ([directory(b"a"), whiteout(b"a/x", 1)], b"a/x"),
        ([whiteout(b"a", 1)], b"a"),
    ],
)
def test_what_changes(above: list[Entry], path: bytes) -> None:
    assert changed([directory(b"a"), file(b"a/x")], above, same=True)[0] == path


def test_a_link_shows_what_it_leads_to() -> None:
    above = [directory(b"a"), Entry(b"a/x", Kind.SYMLINK, 0o777, link=b"y")]
    assert changed([directory(b"a"), file(b"a/x")], above, same=True) == []
    assert changed([directory(b"a"), file(b"a/x")], above, same=False) == [b"a/x"]


def test_content_counts_where_nothing_else_differs() -> None:
    layer = [file(b"x", 7)]
    assert changed(layer, layer, same=True) == []
    assert changed(layer, layer, same=False) == [b"x"]
