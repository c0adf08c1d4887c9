"""Trees on disk as entries: canonical, whatever readdir, links, umask, owners and times say."""

import os
import random
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dockertools_py.errors import DockertoolsError
from dockertools_py.model.entry import Entry, Kind, Owner
from dockertools_py.store.walk import ROOT_MODES, STORE_MODES, link_tree, walk
from tests.oracle.trees import random_tree, write_tree

OWNER = Owner(0, 0)


def entries(top: Path, name: bytes = b"t") -> list[Entry]:
    return list(walk(os.fsencode(top), name, STORE_MODES, OWNER, 1))


def test_the_order_of_readdir_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tree(random_tree(1), str(tmp_path / "t"))
    expected = entries(tmp_path / "t")
    assert [entry.name for entry in expected] == sorted(entry.name for entry in expected)
    dice, scandir, shuffled = random.Random(0), os.scandir, []

    class Shuffled:
        def __init__(self, path: bytes) -> None:
            with scandir(path) as children:
                self.children = list(children)
            dice.shuffle(self.children)
            shuffled.append(path)

        def __enter__(self) -> Iterator[Any]:
            return iter(self.children)

        def __exit__(self, *_: object) -> None:
            return None

    monkeypatch.setattr(os, "scandir", Shuffled)
    for _ in range(3):
        assert entries(tmp_path / "t") == expected
    assert len(shuffled) > 10


def test_hard_links_umask_owners_and_times_do_not_matter(tmp_path: Path) -> None:
    nodes = random_tree(2)
    old = os.umask(0o077)
    try:
        write_tree(nodes, str(tmp_path / "one"))
        os.umask(0)
        write_tree(nodes, str(tmp_path / "two"))
    finally:
        os.umask(old)
    files = [tmp_path.joinpath("two", os.fsdecode(node.path)) for node in nodes if node.kind == "file"]
    assert files
    for number, file in enumerate(files):
        os.link(file, tmp_path / f"link{number}")
        os.utime(file, (5, 5))
        if os.geteuid() == 0:
            os.chown(file, 12, 34)
    one, two = ([entry._replace(path=b"") for entry in entries(tmp_path / tree)] for tree in ("one", "two"))
    assert one == two


def test_two_names_of_one_file_are_two_files(tmp_path: Path) -> None:
    # As `nix-store --optimise` leaves them: a hard link in the layer would make its bytes depend on that.
    (tmp_path / "t").mkdir()
    (tmp_path / "t/a").write_bytes(b"x")
    os.link(tmp_path / "t/a", tmp_path / "t/b")
    assert [(entry.kind, entry.size) for entry in entries(tmp_path / "t")[1:]] == [(Kind.FILE, 1)] * 2


def test_modes(tmp_path: Path) -> None:
    (tmp_path / "t/d").mkdir(parents=True)
    for mode in (0o400, 0o644, 0o666, 0o4644, 0o100, 0o755, 0o410, 0o401, 0o6777):
        (tmp_path / f"t/{mode:04o}").touch()
        (tmp_path / f"t/{mode:04o}").chmod(mode)
    found = {entry.name: entry.mode for entry in entries(tmp_path / "t")}
    assert found == {
        b"t/": 0o555,
        b"t/d/": 0o555,
        **dict.fromkeys((b"t/0400", b"t/0644", b"t/0666", b"t/4644"), 0o444),
        **dict.fromkeys((b"t/0100", b"t/0755", b"t/0410", b"t/0401", b"t/6777"), 0o555),
    }
    copied = {e.name: e.mode for e in walk(os.fsencode(tmp_path / "t"), b"", ROOT_MODES, OWNER, 1)}
    assert (copied[b"d/"], copied[b"0400"], copied[b"0401"]) == (0o755, 0o644, 0o755)
    assert b"" not in copied


def test_owner_and_time_are_those_asked_for(tmp_path: Path) -> None:
    write_tree(random_tree(3, 10), str(tmp_path / "t"))
    found = list(walk(os.fsencode(tmp_path / "t"), b"t", STORE_MODES, Owner(5, 6), 77))
    assert {(entry.owner, entry.mtime) for entry in found} == {(Owner(5, 6), 77)}


def test_a_tree_deeper_than_the_stack_of_python(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    here = os.open(tmp_path / "t", os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=here)
        there = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = there
    os.close(here)
    found = entries(tmp_path / "t")
    subprocess.run(["rm", "-r", tmp_path / "t"], check=True)  # Python, and so pytest, cannot remove what is so deep
    assert len(found) == 1501
    assert found[-1].name == b"t/" + b"d/" * 1500


def test_what_a_store_path_cannot_hold(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    os.mkfifo(tmp_path / "t/fifo")
    with pytest.raises(
        DockertoolsError, match=r"/t/fifo: neither file, directory nor link: a store path cannot hold it$"
    ):
        entries(tmp_path / "t")


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        entries(tmp_path / "absent")


def test_a_tree_of_links(tmp_path: Path) -> None:
    top = tmp_path / "t"
    (top / "bin").mkdir(parents=True)
    (top / "bin/run").write_bytes(b"x")
    (top / "lib").symlink_to("lib64")
    (top / "circle").symlink_to(".")
    (tmp_path / "to-t").symlink_to("t")
    real = os.fsencode(top)
    for given in (top, tmp_path / "to-t"):
        found = [(entry.name, entry.kind, entry.link) for entry in link_tree(os.fsencode(given), OWNER, 1)]
        assert found == [
            (b"bin/", Kind.DIRECTORY, b""),
            (b"bin/run", Kind.SYMLINK, real + b"/bin/run"),
            (b"circle", Kind.SYMLINK, real + b"/circle"),
            (b"lib", Kind.SYMLINK, real + b"/lib"),
        ]


def test_sockets_in_a_store_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t").mkdir()
    monkeypatch.chdir(tmp_path)  # a socket's path is at most 108 bytes
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("t/s")
        with pytest.raises(DockertoolsError, match=r"/t/s: neither file, directory nor link"):
            entries(tmp_path / "t")
