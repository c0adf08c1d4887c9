"""A flat tree cut into layers: which store path goes where, and with what entries."""

import pytest

from dockertools_py.model.entry import Entry, Kind, Owner
from dockertools_py.pack.layer_content import content_of
from dockertools_py.pack.store_split import as_in_store, is_store_name, members, split
from dockertools_py.pack.tree import Tree

HASHES = [letter * 32 for letter in "abcd"]
BIG = 1 << 20


def tree_of(*entries: Entry) -> Tree:
    tree = Tree()
    tree.apply((entry, 512 * number) for number, entry in enumerate(entries))
    return tree


def file(name: str, size: int = 1) -> Entry:
    return Entry(name.encode(), Kind.FILE, 0o444, size=size)


def store_path(number: int, size: int, name: str = "x") -> Entry:
    return file(f"nix/store/{HASHES[number]}-{name}", size)


FOUR = tree_of(
    store_path(0, 3 * BIG, "z"), store_path(1, BIG), store_path(2, 2 * BIG, "y"), store_path(3, 1), file("etc/a")
)


def paths(tree: Tree, budget: int) -> list[list[str]]:
    return [[path.decode()[10] for path in part.paths] for part in split(tree, budget)]


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        (1, [[]]),
        (2, [["a", "b", "c", "d"], []]),
        (3, [["a"], ["b", "c", "d"], []]),
        (4, [["c"], ["a"], ["b", "d"], []]),
        (5, [["b"], ["c"], ["a"], ["d"], []]),
        (40, [["b"], ["c"], ["a"], ["d"], []]),
    ],
)
def test_the_biggest_alone_in_the_order_of_names(budget: int, expected: list[list[str]]) -> None:
    assert paths(FOUR, budget) == expected


def test_no_layer_for_a_rest_that_is_empty() -> None:
    tree = tree_of(store_path(0, BIG), store_path(1, BIG))
    assert paths(tree, 3) == [["a"], ["b"], []]
    assert paths(tree, 2) == [["a", "b"], []]


def test_every_entry_is_in_one_layer() -> None:
    folder = f"nix/store/{HASHES[0]}-x"
    tree = tree_of(
        Entry(f"{folder}/".encode(), Kind.DIRECTORY, 0o555), file(f"{folder}/a"), store_path(3, 1), file("etc/a")
    )
    parts = split(tree, 40, 0)
    found = [entry.name for part in parts for entry, _ in members(part, parts, tree, normalise=False)]
    for name, _ in tree.nodes():
        node = tree.get(name)
        assert node is not None
        assert found.count(name + b"/" * node.is_directory()) == (len(parts) if name in (b"nix", b"nix/store") else 1)
    assert len(parts) == 3


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a" * 32 + "-x", True),
        ("a" * 32 + "-", False),
        ("e" * 32 + "-x", False),
        ("a" * 31 + "-x", False),
        (".links", False),
    ],
)
def test_names_of_store_paths(name: str, expected: bool) -> None:
    assert is_store_name(name.encode()) is expected


def test_as_nix_keeps_it() -> None:
    owner, xattrs = Owner(5, 6), (("user.a", b"b"),)
    modes = {Kind.FILE: (0o700, 0o555), Kind.DIRECTORY: (0o777, 0o555), Kind.SYMLINK: (0o700, 0o777)}
    for kind, (mode, expected) in modes.items():
        entry = as_in_store(Entry(b"x", kind, mode, owner, 99, xattrs=xattrs))
        assert entry == Entry(b"x", kind, expected)
    assert as_in_store(Entry(b"x", Kind.FILE, 0o644)).mode == 0o444


def test_a_store_that_is_none() -> None:
    for entries in ([], [file("nix")], [file("nix/store")], [Entry(b"nix/store", Kind.SYMLINK, 0o777, link=b"x")]):
        tree = tree_of(*entries)
        (part,) = split(tree, 40)
        assert part.paths == ()
        assert len(list(members(part, (part,), tree, normalise=True))) == len(list(tree.nodes()))


def test_another_name_of_a_file_in_the_store_is_a_place_by_itself() -> None:
    hard = Entry(b"usr/tool", Kind.HARDLINK, 0o755, link=b"nix/store/" + HASHES[0].encode() + b"-x")
    (place,) = content_of([store_path(0, 1), hard]).places
    assert place == Entry(b"usr/tool", Kind.FILE, 0o755, link=hard.link)
    tree_of(place)
