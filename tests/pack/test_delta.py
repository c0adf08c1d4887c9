"""What leads from one tree to another: the essay's example, hard links, and what counts as a difference."""

from collections.abc import Sequence

import pytest

from dockertools_py.model.entry import Entry, Kind, Owner
from dockertools_py.pack.delta import Delta, delta
from dockertools_py.pack.tree import Tree


def directory(name: str, mode: int = 0o755) -> Entry:
    return Entry(name.encode() + b"/", Kind.DIRECTORY, mode)


def file(name: str, mode: int = 0o644) -> Entry:
    return Entry(name.encode(), Kind.FILE, mode, size=1)


def hard(name: str, link: str) -> Entry:
    return Entry(name.encode(), Kind.HARDLINK, 0o644, link=link.encode())


def between(old: Sequence[Entry], new: Sequence[Entry], *, same: bool = True) -> Delta:
    trees = []
    for entries in (old, new):
        trees.append(Tree())
        trees[-1].apply((entry, 512 * number) for number, entry in enumerate(entries))
    return delta(trees[0], trees[1], lambda *_: same)


def layer(found: Delta) -> list[tuple[str, str]]:
    return [(entry.name.decode(), entry.kind.name) for entry, _ in found.layer(1)]


def test_the_example_of_the_essay() -> None:
    old = [file("a"), directory("d"), file("d/x"), file("d/y")]
    found = between(old, [directory("a"), file("a/b"), directory("d"), file("d/x")])
    assert [name for name, _ in layer(found)] == ["a/", "a/b", "d/", "d/.wh.y"]
    assert found.gone == (b"d/y",)
    assert found.replaced == (b"a",)
    assert found.removals() == (b"a", b"d/y")


def test_below_what_is_gone_or_replaced_nothing_is_listed() -> None:
    deep = [directory("a"), directory("a/b"), file("a/b/c")]
    assert layer(between(deep, [])) == [(".wh.a", "FILE")]
    assert layer(between(deep, [file("a")])) == [("a", "FILE")]
    assert between(deep, [file("a")]).removals() == (b"a",)


@pytest.mark.parametrize(
    "other",
    [
        file("a")._replace(mode=0o600),
        file("a")._replace(owner=Owner(1, 0)),
        file("a")._replace(size=2),
        file("a")._replace(xattrs=(("user.a", b"b"),)),
        file("a")._replace(kind=Kind.SYMLINK, link=b"x"),
        file("a")._replace(kind=Kind.CHARACTER, device=(1, 3)),
    ],
    ids=["mode", "owner", "size", "xattrs", "kind", "device"],
)
def test_what_counts(other: Entry) -> None:
    assert [name for name, _ in layer(between([file("a")], [other]))] == ["a"]
    assert [name for name, _ in layer(between([other], [file("a")]))] == ["a"]


def test_content_counts_and_time_does_not() -> None:
    assert layer(between([file("a")], [file("a")._replace(mtime=9)])) == []
    assert layer(between([file("a")], [file("a")], same=False)) == [("a", "FILE")]
    assert layer(between([directory("a")], [directory("a")], same=False)) == []


def test_the_top_counts() -> None:
    top = Entry(b"", Kind.DIRECTORY, 0o700)
    assert layer(between([], [top])) == [("./", "DIRECTORY")]
    assert layer(between([top], [])) == [("./", "DIRECTORY")]


def test_all_names_of_a_file_or_none() -> None:
    two = [file("a"), hard("b", "a"), file("c")]
    assert layer(between(two, two)) == []
    both = [("a", "FILE"), ("b", "HARDLINK")]
    assert layer(between([file("a"), file("b"), file("c")], two)) == both
    assert layer(between(two, [file("a"), file("b"), file("c")])) == [("a", "FILE"), ("b", "FILE")]
    assert layer(between([file("a"), file("c")], two)) == both, "one name more"
    assert layer(between([*two, hard("d", "a")], two)) == [(".wh.d", "FILE")], "one less changes nothing of the others"
    assert layer(between([file("a"), hard("b", "a"), hard("c", "a")], two)) == [*both, ("c", "FILE")]
