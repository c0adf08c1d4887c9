"""What scripts leave: random changes by GNU tar as root, against the layer that is found; and each trap by hand."""

import os
import random
import socket
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from dockertools_py.model.entry import Entry, Kind
from dockertools_py.pack.tree import Node, Tree
from dockertools_py.root.diff import Diff, snapshot
from dockertools_py.root.table import CAPABILITY, Recorded, Table, file_id
from dockertools_py.root.tree import unpack
from dockertools_py.store.open_tree import Opener, OpenTree
from dockertools_py.store.tar_stream import tar_stream
from tests.clients.need import need_root
from tests.oracle.stacks import StackOnDisk, lay_out, members_of, seen, stored
from tests.oracle.unprivileged import as_nobody, folder_of_nobody

SEEDS = range(60)
MTIME = 1


def laid_out(layers: list[bytes], folder: Path) -> tuple[OpenTree, Path, Table]:
    """The tree of some layers on disk, as scripts find it."""
    (folder / "blobs").mkdir(parents=True)
    opened = Opener(folder / "spool", None).open([stored(layer, folder / "blobs") for layer in layers])
    top = folder / "top"
    table: Table = {}
    top.mkdir()
    unpack(opened.tree, opened.content, top, table)
    return opened, top, table


def as_supervised(layer: bytes, top: Path, table: Table) -> None:
    """What root did by unpacking `layer`, as it would be had the supervisor done it: owners in the table, no devices."""
    placeholders: dict[int, Path] = {}
    for name in members_of(layer):
        path = top / name
        status = path.lstat()
        kind, device = Kind.FILE, (0, 0)
        if stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
            kind = Kind.CHARACTER if stat.S_ISCHR(status.st_mode) else Kind.BLOCK
            device = (os.major(status.st_rdev), os.minor(status.st_rdev))
            path.unlink()
            if first := placeholders.get(status.st_ino):
                os.link(first, path)
            else:
                placeholders[status.st_ino] = path
                path.touch()
                os.utime(path, (status.st_mtime, status.st_mtime))
        keys = sorted(os.listxattr(path, follow_symlinks=False))
        xattrs = tuple((key, os.getxattr(path, key)) for key in keys)
        mode = stat.S_IMODE(status.st_mode)
        table[file_id(os.fsencode(path))] = Recorded(status.st_uid, status.st_gid, mode, kind, device, xattrs)


@pytest.mark.parametrize("seed", SEEDS)
def test_random_changes(seed: int, tmp_path: Path) -> None:
    need_root()
    generator = random.Random(seed)
    (tmp_path / "disk").mkdir()
    stack = StackOnDisk(tmp_path / "disk", [])
    for _ in range(generator.randint(1, 3)):
        stack.add(generator, all_parents=True)
    stack.copy(tmp_path / "again")
    opened, top, table = laid_out(stack.layers, tmp_path / "scratch")
    before = snapshot(top)
    stack.add(generator, all_parents=True)
    lay_out(stack.layers[-1], top)
    as_supervised(stack.layers[-1], top, table)
    entries = Diff(top, before, opened.tree, table, MTIME).layer(opened.tree, opened.content)
    found = b"".join(map(bytes, tar_stream(entries)))
    lay_out(found, tmp_path / "again")
    # Where nothing but the time is other, nothing is written.
    assert seen(tmp_path / "again", times=False) == seen(stack.top, times=False)


# --- each trap by hand


FILES = {"a": "one", "d/x": "two", "d/y": "three", "e/f/g": "four"}


def tree_of(entries: list[Entry]) -> Tree:
    tree = Tree()
    tree.apply((entry, number) for number, entry in enumerate(entries))
    return tree


def base() -> Tree:
    """A small tree: FILES, of which `link` is another name of `d/x`."""
    entries = [Entry(name.encode(), Kind.FILE, 0o644, mtime=7, size=len(text)) for name, text in FILES.items()]
    return tree_of([*entries, Entry(b"link", Kind.HARDLINK, 0o644, link=b"d/x")])


def content(node: Node) -> list[bytes]:
    return [FILES[node.entry.name.decode()].encode()]


def left_by(change: Callable[[Path, Table], object], top: Path) -> dict[str, Entry]:
    """The layer that a change of the base leaves, by name."""
    table: Table = {}
    tree = base()
    top.mkdir()
    unpack(tree, content, top, table)
    before = snapshot(top)
    change(top, table)
    entries = Diff(top, before, tree, table, MTIME).layer(tree, content)
    names = [entry.name for entry in entries if entry.name != b"./"]
    assert names == sorted(names)
    return {entry.name.decode(): entry for entry in entries}


def script(*commands: str) -> Callable[[Path, Table], object]:
    return lambda top, _: subprocess.run(["sh", "-euc", "\n".join(commands)], cwd=top, check=True)


@pytest.mark.parametrize(
    ("commands", "names"),
    [
        ([":"], []),
        (["touch a d/y", "echo -n one >a", "chmod 600 d/y", "chmod 644 d/y", "touch new", "rm new"], []),
        (["mv a b", "mv b a", "cp a c", "rm a", "mv c a"], []),
        (["echo -n 1ne >a"], ["a"]),
        (["rm -r e/f"], ["e/", "e/.wh.f"]),
        (["rm -r e", "echo >e"], ["e"]),
        (["rm a", "mkdir a", "touch a/b"], ["a/", "a/b"]),
        (["rm -r e", "mkdir -p e/f", "touch e/f/h"], ["e/", "e/f/", "e/f/.wh.g", "e/f/h"]),
        (["mv e h"], [".wh.e", "h/", "h/f/", "h/f/g"]),
        # The two names of one file are written together, wherever one of them went.
        (["mv d h"], [".wh.d", "h/", "h/x", "h/y", "link"]),
        (["echo >>link"], ["d/", "d/x", "link"]),
        (["rm link"], [".wh.link"]),
        (["ln a d/a"], ["a", "d/", "d/a"]),
        # Another directory of the same name: neither inode nor ctime of what is in it tells.
        (["cp -r e h", "rm -r e", "mv h e"], []),
        (["mkdir h", "echo -n 4our >h/g", "mv e/f/g i", "mv h/g e/f/g", "mv i h/g"], ["e/", "e/f/", "e/f/g", "h/", "h/g"]),
        (["chmod 700 .", "touch ./+x ./-y"], ["./", "+x", "-y"]),
        (["mkdir -p var/cache/ldconfig", "echo >var/cache/ldconfig/aux-cache"], ["var/", "var/cache/", "var/cache/ldconfig/"]),
    ],
)  # fmt: skip
def test_what_is_left(commands: list[str], names: list[str], tmp_path: Path) -> None:
    assert list(left_by(script(*commands), tmp_path / "top")) == names


def test_hard_links_are_kept(tmp_path: Path) -> None:
    found = left_by(script("mv d h", "ln h/y z"), tmp_path / "top")
    assert (found["h/x"].kind, found["link"].kind, found["link"].link) == (Kind.FILE, Kind.HARDLINK, b"h/x")
    assert (found["h/y"].kind, found["z"].kind, found["z"].link) == (Kind.FILE, Kind.HARDLINK, b"h/y")


def test_a_change_right_after_the_first_look_is_seen(tmp_path: Path) -> None:
    for number in range(20):

        def change(top: Path, _: Table) -> None:
            fd = os.open(top / "a", os.O_WRONLY)  # as large, and at once
            os.write(fd, b"oni")
            os.close(fd)

        assert list(left_by(change, tmp_path / str(number))) == ["a"]


def test_times(tmp_path: Path) -> None:
    found = left_by(
        script("cp -p a past", "echo >new", "mkdir h", "mv e h", "touch -d 2100-01-01 future"), tmp_path / "top"
    )
    # As they were copied or moved; what is made has the time that was asked for.
    assert (found["past"].mtime, found["h/e/f/g"].mtime) == (7, 7)
    assert (found["new"].mtime, found["h/"].mtime, found["future"].mtime, found[".wh.e"].mtime) == (MTIME,) * 4


def test_records(tmp_path: Path) -> None:
    def change(top: Path, table: Table) -> None:
        for name in ("a", "d", "null", "e/f/g"):
            path = top / name
            path.touch()
            if path.is_dir():
                os.chmod(path, 0o755)
        table[file_id(top / "a")] = Recorded(5, 6, 0o4755, Kind.FILE, xattrs=((CAPABILITY, b"c"),))
        table[file_id(top / "d")] = Recorded(0, 7, 0o2770, Kind.DIRECTORY)
        table[file_id(top / "null")] = Recorded(0, 0, 0o666, Kind.CHARACTER, (1, 3))

    found = left_by(change, tmp_path / "top")
    assert list(found) == ["a", "d/", "null"]
    assert (found["a"].mode, found["a"].owner, found["a"].xattrs) == (0o4755, (5, 6), ((CAPABILITY, b"c"),))
    assert (found["d/"].mode, found["d/"].owner, found["d/"].kind) == (0o2770, (0, 7), Kind.DIRECTORY)
    assert (found["null"].kind, found["null"].device, found["null"].size) == (Kind.CHARACTER, (1, 3), 0)


def test_a_socket_is_left_out_with_a_word(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def change(top: Path, _: Table) -> None:
        os.chdir(top)  # its name may have a hundred bytes
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("talk")

    here = Path.cwd()
    try:
        assert left_by(change, tmp_path / "top") == {}
    finally:
        os.chdir(here)
    assert capsys.readouterr().err == "/talk: a socket, which means nothing without its program: left out\n"


def test_a_whiteout_that_a_script_made_is_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    need_root()

    def change(top: Path, _: Table) -> None:
        (top / "a").unlink()
        os.mknod(top / "a", stat.S_IFCHR | 0o600, 0)

    assert list(left_by(change, tmp_path / "top")) == [".wh.a"]
    assert capsys.readouterr().err == (
        "/a: a character device 0:0, which is overlayfs' word for a file that is gone, and no file of an image: left out\n"
    )


def test_what_nobody_may_read_is_read(tmp_path: Path) -> None:
    need_root()
    commands = ["chmod 0 a", "mkdir h", "echo ab >h/i", "chmod 0 h/i h", "chmod 0 e", "chmod 444 d"]
    with folder_of_nobody() as folder:

        def change() -> dict[str, tuple[int, bytes]]:
            found = left_by(script(*commands), folder / "top")
            return {
                name: (entry.mode, Path(os.fsdecode(entry.path)).read_bytes() if entry.size else b"")
                for name, entry in found.items()
            }

        assert as_nobody(change) == {
            "a": (0, b"one"),
            "d/": (0o444, b""),
            "e/": (0, b""),
            "h/": (0, b""),
            "h/i": (0, b"ab\n"),
        }
