"""A tree laid out by somebody without rights, against GNU tar as root: what the table and the disk say together is the same."""

import os
import random
import stat
from pathlib import Path

import pytest

from dockertools_py.errors import DockertoolsError
from dockertools_py.model.entry import Entry, Kind, Owner
from dockertools_py.pack.tree import Tree
from dockertools_py.root.table import Table, file_id
from dockertools_py.root.tree import unpack
from dockertools_py.store.open_tree import Opener
from tests.clients.need import need_root
from tests.oracle.stacks import StackOnDisk, seen, stored
from tests.oracle.unprivileged import as_nobody, folder_of_nobody

SEEDS = range(30)
_TYPES = {Kind.CHARACTER: stat.S_IFCHR, Kind.BLOCK: stat.S_IFBLK}


def shown(top: Path, table: Table) -> dict[str, tuple[object, ...]]:
    """What `seen` says of the disk, with what the table knows better."""
    found = {}
    for name, told in seen(top).items():
        path = top / name
        kind, mode, _, link, _, content, _, first, mtime = told
        owner, device, xattrs = (0, 0), 0, {}
        if recorded := table.get(file_id(os.fsencode(path))):
            owner, xattrs = (recorded.uid, recorded.gid), dict(recorded.xattrs)
            mode = 0 if path.is_symlink() else recorded.mode
            if recorded.kind in _TYPES:
                kind, device, content = _TYPES[recorded.kind], os.makedev(*recorded.device), ""
        found[name] = (kind, mode, owner, link, device, content, xattrs, first, mtime)
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_random_stacks(seed: int, tmp_path: Path) -> None:
    need_root()
    generator = random.Random(seed)
    (tmp_path / "disk").mkdir()
    stack = StackOnDisk(tmp_path / "disk", [])
    for _ in range(generator.randint(1, 4)):
        stack.add(generator, all_parents=True)
    with folder_of_nobody() as folder:
        (folder / "blobs").mkdir()
        layers = [stored(layer, folder / "blobs", "gz") for layer in stack.layers]

        def lay_out() -> dict[str, tuple[object, ...]]:
            opened = Opener(folder / "spool", None).open(layers)
            (folder / "top").mkdir()
            table: Table = {}
            unpack(opened.tree, opened.content, folder / "top", table)
            return shown(folder / "top", table)

        assert as_nobody(lay_out) == seen(stack.top)


def tree_of(*entries: Entry) -> Tree:
    tree = Tree()
    tree.apply((entry, number) for number, entry in enumerate(entries))
    return tree


def test_modes_are_as_they_are_but_we_may_enter_all_directories() -> None:
    need_root()
    tree = tree_of(
        Entry(b"closed/", Kind.DIRECTORY, 0o000),
        Entry(b"closed/secret", Kind.FILE, 0o000, Owner(3, 4), size=1),
        Entry(b"pipe", Kind.FIFO, 0o000),
        Entry(b"su", Kind.FILE, 0o4755),
    )
    tree.top.entry = tree.top.entry._replace(mode=0o2500, owner=Owner(7, 8))
    with folder_of_nobody() as folder:

        def lay_out() -> list[tuple[int, int | None]]:
            top = folder / "top"
            table: Table = {}
            top.mkdir()
            unpack(tree, lambda _: [b"x"], top, table)
            (top / "closed/secret").stat()
            paths = [top / name for name in ("", "closed", "closed/secret", "pipe", "su")]
            found = [(path, table.get(file_id(os.fsencode(path)))) for path in paths]
            return [(stat.S_IMODE(path.stat().st_mode), recorded and recorded.mode) for path, recorded in found]

        assert as_nobody(lay_out) == [
            (0o700, 0o2500),
            (0o700, 0o000),
            (0o000, 0o000),
            (0o000, None),
            (0o755, 0o4755),
        ]


def test_plain_files_need_no_record(tmp_path: Path) -> None:
    tree = tree_of(
        Entry(b"bin/", Kind.DIRECTORY, 0o1777, mtime=5),
        Entry(b"bin/a", Kind.FILE, 0o640, mtime=6, size=2),
        Entry(b"bin/b", Kind.SYMLINK, 0o777, link=b"/etc", mtime=7),
    )
    table: Table = {}
    umask = os.umask(0o077)
    try:
        unpack(tree, lambda _: [b"x", b"y"], tmp_path, table)
    finally:
        assert os.umask(umask) == 0o077, "it is what it was"
    assert not table
    told = {name: (oct(told[1]), told[8]) for name, told in seen(tmp_path).items()}  # type: ignore[call-overload]
    assert told == {"bin": ("0o1777", 0), "bin/a": ("0o640", 6), "bin/b": ("0o0", 7)}
    assert int((tmp_path / "bin").stat().st_mtime) == 5


def test_a_link_is_never_followed(tmp_path: Path) -> None:
    """Merged layers have no path through a link, whatever a tar said; and no file is opened that was there."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "top").mkdir()
    (tmp_path / "top/there").symlink_to(outside / "new")
    with pytest.raises(FileExistsError):
        unpack(tree_of(Entry(b"there", Kind.FILE, 0o644, size=1)), lambda _: [b"x"], tmp_path / "top", {})
    tree = tree_of(Entry(b"a", Kind.SYMLINK, 0o777, link=bytes(outside)), Entry(b"a/b", Kind.FILE, 0o644, size=1))
    (tmp_path / "second").mkdir()
    unpack(tree, lambda _: [b"x"], tmp_path / "second", {})
    assert (tmp_path / "second/a").is_dir() and not (tmp_path / "second/a").is_symlink()
    assert list(outside.iterdir()) == []


def test_content_that_ends_too_early_is_told(tmp_path: Path) -> None:
    def content(_: object) -> list[bytes]:
        raise DockertoolsError("layer: a ends 1 bytes too early")

    with pytest.raises(DockertoolsError, match="too early"):
        unpack(tree_of(Entry(b"a", Kind.FILE, 0o644, size=1)), content, tmp_path, {})
