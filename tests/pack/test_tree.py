"""The tree of a stack of layers, against the obvious: laying the layers out on disk, one after the other."""

import contextlib
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockertools_py.errors import DockertoolsError
from dockertools_py.model.entry import Entry, Kind
from dockertools_py.model.whiteout import OPAQUE, hides, whiteout
from dockertools_py.pack.tree import Tree

Layer = list[Entry]


def directory(name: str, mode: int = 0o755) -> Entry:
    return Entry(name.encode() + b"/", Kind.DIRECTORY, mode)


def file(name: str, mode: int = 0o644) -> Entry:
    return Entry(name.encode(), Kind.FILE, mode)


def link(name: str, target: str) -> Entry:
    return Entry(name.encode(), Kind.SYMLINK, 0o777, link=target.encode())


def tree_of(*layers: Layer) -> Tree:
    tree = Tree()
    for layer in layers:
        tree.apply([(entry, 512 * n) for n, entry in enumerate(layer)])
    return tree


def seen(tree: Tree) -> dict[str, tuple[str, int]]:
    return {name.decode(): (node.entry.kind.name, node.entry.mode) for name, node in tree.nodes()}


def test_directories_merge_and_the_upper_mode_counts() -> None:
    tree = tree_of([directory("a"), file("a/x")], [directory("a", 0o700), file("a/y", 0o600)])
    assert seen(tree) == {"a": ("DIRECTORY", 0o700), "a/x": ("FILE", 0o644), "a/y": ("FILE", 0o600)}


def test_a_file_replaces_a_directory_and_the_reverse() -> None:
    assert seen(tree_of([directory("a"), file("a/x")], [file("a")])) == {"a": ("FILE", 0o644)}
    assert seen(tree_of([file("a")], [directory("a"), file("a/x")])) == {
        "a": ("DIRECTORY", 0o755),
        "a/x": ("FILE", 0o644),
    }


@pytest.mark.parametrize("first", [True, False])
def test_a_whiteout_hides_what_is_below_wherever_it_stands(first: bool) -> None:
    lower = [directory("a"), file("a/old"), file("b")]
    new = [directory("a"), file("a/new")]
    gone = [whiteout(b"a", 1), whiteout(b"b", 1)]
    assert seen(tree_of(lower, gone + new if first else new + gone)) == {
        "a": ("DIRECTORY", 0o755),
        "a/new": ("FILE", 0o644),
    }


def test_an_opaque_directory_keeps_only_its_own() -> None:
    opaque = Entry(b"a/" + OPAQUE, Kind.FILE, 0o644)
    tree = tree_of([directory("a"), directory("a/d"), file("a/d/old")], [directory("a"), file("a/new"), opaque])
    assert list(seen(tree)) == ["a", "a/new"]


def test_hard_links_have_one_place_and_outlive_their_first_name() -> None:
    hard = Entry(b"b", Kind.HARDLINK, 0o644, link=b"a")
    tree = tree_of([file("a"), hard], [whiteout(b"a", 1)])
    assert seen(tree) == {"b": ("FILE", 0o644)}
    node = tree.get(b"b")
    assert node is not None
    assert node.place == (0, 0)
    with pytest.raises(DockertoolsError, match="a hard link to gone, which is no file here"):
        tree_of([Entry(b"b", Kind.HARDLINK, 0o644, link=b"gone")])


def test_links_are_resolved_inside_the_tree() -> None:
    tree = tree_of(
        [
            link("bin", "usr/bin"),
            directory("usr"),
            directory("usr/bin"),
            link("usr/up", "../../../etc"),
            link("l", "/bin"),
        ]
    )
    assert tree.resolve(b"bin/sh") == b"usr/bin/sh"
    assert tree.resolve(b"l/x/y") == b"usr/bin/x/y"
    assert tree.resolve(b"usr/up/passwd") == b"etc/passwd"
    assert tree.resolve(b"not/there") == b"not/there"
    with pytest.raises(DockertoolsError, match=r"/a/x: more than 40 symbolic links on the way"):
        tree_of([link("a", "b"), link("b", "a")]).resolve(b"a/x")


def test_dots_never_lead_out() -> None:
    with pytest.raises(DockertoolsError, match=r"\.\./x: leads out of the tree"):
        tree_of([file("../x")])


def test_names_of_whiteouts() -> None:
    assert hides(b"a/", b".wh.x") == b"a/x"
    assert hides(b"a/", OPAQUE) == b"a/"
    assert hides(b"", b"x") is None
    assert hides(b"", b".wh.") is None
    assert whiteout(b"a/x", 1).name == b"a/.wh.x"


NAMES = ["a", "b", "a-b", "c"]


def random_layer(generator: random.Random) -> Layer:
    """Entries in order, each name once, parents there; whiteouts of names that the layer itself does not have."""
    entries: dict[str, Entry] = {}
    for _ in range(generator.randint(1, 12)):
        parts = [generator.choice(NAMES) for _ in range(generator.randint(1, 3))]
        above = ["/".join(parts[:depth]) for depth in range(1, len(parts))]
        if any(name in entries and entries[name].kind is not Kind.DIRECTORY for name in above):
            continue
        for name in above:
            entries.setdefault(name, directory(name, generator.choice([0o755, 0o700])))
        name = "/".join(parts)
        if name not in entries:
            entries[name] = generator.choice([directory, file])(name)
    for name in list(entries):
        folder = entries[name].kind is Kind.DIRECTORY
        if generator.random() < 0.2:
            sibling = "/".join([*name.split("/")[:-1], generator.choice(NAMES)])
            if sibling not in entries:
                entries[sibling + "!"] = whiteout(sibling.encode(), 1)
        if folder and generator.random() < 0.1:
            entries[name + "!"] = Entry(name.encode() + b"/" + OPAQUE, Kind.FILE, 0o644)
    return sorted(entries.values(), key=lambda entry: entry.name)


def lay_out(layer: Layer, top: Path) -> None:
    """The obvious way: first what the layer hides, then what it has."""
    for entry in layer:
        folder, _, last = entry.name.rpartition(b"/")
        path = top / os.fsdecode(folder)
        if last == OPAQUE:
            if path.is_dir():
                shutil.rmtree(path)
                path.mkdir()
        elif last.startswith(b".wh."):
            remove(path / os.fsdecode(last[4:]))
    for entry in layer:
        path = top / os.fsdecode(entry.name)
        if b".wh." in entry.name:
            continue
        if entry.kind is Kind.DIRECTORY:
            if not path.is_dir():
                remove(path)
                path.mkdir()
        else:
            remove(path)
            path.write_bytes(b"")
        path.chmod(entry.mode)


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()


def on_disk(top: Path) -> Iterator[tuple[str, tuple[str, int]]]:
    for path in top.rglob("*"):
        yield str(path.relative_to(top)), ("DIRECTORY" if path.is_dir() else "FILE", path.stat().st_mode & 0o7777)


@pytest.mark.parametrize("seed", range(150))
def test_random_layers_against_a_disk(seed: int, tmp_path: Path) -> None:
    generator = random.Random(seed)
    layers = [random_layer(generator) for _ in range(generator.randint(1, 5))]
    for layer in layers:
        lay_out(layer, tmp_path)
    shuffled = [
        generator.sample(layer, len(layer)) if generator.random() < 0.3 and all_flat(layer) else layer
        for layer in layers
    ]
    assert seen(tree_of(*shuffled)) == dict(on_disk(tmp_path))


def all_flat(layer: Layer) -> bool:
    """Whether no entry needs another one before it."""
    return all(entry.name.count(b"/") == entry.name.endswith(b"/") for entry in layer)
