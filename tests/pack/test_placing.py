"""Entries placed on a base: through its links, keeping its directories."""

import pytest

from dockertools_py.errors import DockertoolsError
from dockertools_py.model.entry import ROOT, Entry, Kind, Owner
from dockertools_py.pack.placing import place
from dockertools_py.pack.tree import Tree


def directory(name: str, mode: int = 0o755, owner: Owner = ROOT) -> Entry:
    return Entry(name.encode() + b"/", Kind.DIRECTORY, mode, owner)


def file(name: str, data: bytes = b"") -> Entry:
    return Entry(name.encode(), Kind.FILE, 0o644, size=len(data), data=data)


def link(name: str, target: str) -> Entry:
    return Entry(name.encode(), Kind.SYMLINK, 0o777, link=target.encode())


def debian() -> Tree:
    """As a merged-/usr Debian has it."""
    tree = Tree()
    base = [
        link("bin", "usr/bin"),
        directory("etc", 0o750, Owner(0, 42)),
        directory("usr"),
        directory("usr/bin", 0o755, Owner(0, 50)),
        file("usr/bin/sh"),
        link("run", "/gone"),
        file("plain"),
        directory("var"),
        file("var/x"),
    ]
    tree.apply((entry, 0) for entry in base)
    return tree


def placed(*entries: Entry) -> list[tuple[str, int, Owner]]:
    return [(e.name.decode(), e.mode, e.owner) for e in place(entries, debian(), lambda a, b: a.data == b.data)]


def test_what_is_meant_for_a_link_goes_where_it_leads() -> None:
    assert placed(directory("bin"), file("bin/tool")) == [
        ("usr/", 0o755, Owner()),
        ("usr/bin/", 0o755, Owner(0, 50)),
        ("usr/bin/tool", 0o644, Owner()),
    ]


def test_directories_of_the_base_keep_mode_and_owner() -> None:
    assert placed(directory("etc"), file("etc/passwd")) == [
        ("etc/", 0o750, Owner(0, 42)),
        ("etc/passwd", 0o644, Owner()),
    ]


def test_a_link_that_leads_nowhere_gets_its_directory() -> None:
    assert [name for name, _, _ in placed(directory("run"), file("run/pid"))] == ["gone/", "gone/pid"]


def test_a_file_may_be_replaced_by_a_directory_and_the_reverse() -> None:
    assert [name for name, _, _ in placed(directory("plain"), file("plain/x"))] == ["plain/", "plain/x"]
    assert [name for name, _, _ in placed(file("var"))] == ["var"]


def test_a_last_link_is_replaced_not_followed() -> None:
    assert [name for name, _, _ in placed(file("bin"))] == ["bin"]


def test_hard_links_lead_to_where_their_file_went() -> None:
    hard = Entry(b"bin/two", Kind.HARDLINK, 0o644, link=b"bin/one")
    entries = place([directory("bin"), file("bin/one"), hard], debian(), lambda *_: False)
    assert (entries[-1].name, entries[-1].link) == (b"usr/bin/two", b"usr/bin/one")


def test_two_that_come_to_one_place() -> None:
    alike = [directory("bin"), file("bin/a", b"1"), directory("usr"), directory("usr/bin"), file("usr/bin/a", b"1")]
    assert [name for name, _, _ in placed(*alike)].count("usr/bin/a") == 1
    with pytest.raises(
        DockertoolsError,
        match=r"^/usr/bin/a: the base's links make it /usr/bin/a, where something else is put already$",
    ):
        placed(*alike[:-1], file("usr/bin/a", b"2"))


def test_without_a_base_nothing_moves() -> None:
    entries = [directory("bin"), file("bin/a"), link("lib", "bin")]
    assert list(place(entries, Tree(), lambda *_: False)) == entries
