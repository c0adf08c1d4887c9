"""Trees that a script worked on: laid out, and read back with what it made of them."""

import os
import stat
from pathlib import Path

import pytest

from dockertools_py.errors import DockertoolsError
from dockertools_py.model.entry import Entry, Kind, Owner
from dockertools_py.pack.layer import RootSource
from dockertools_py.store.produce import entries
from dockertools_py.store.scratch import lay_out, scratch_entries
from tests.formats.images import store_path
from tests.oracle.programs import lack

OWNER = Owner(3, 4)


def read_back(top: Path) -> list[Entry]:
    return list(scratch_entries(top, OWNER, 9))


def test_hard_links_and_modes_are_kept(tmp_path: Path) -> None:
    top = tmp_path / "root"
    (top / "bin").mkdir(parents=True)
    (top / "bin").chmod(0o1777)
    (top / "bin/b").write_bytes(b"xyz")
    (top / "bin/b").chmod(0o4755)
    os.link(top / "bin/b", top / "bin/a")
    os.link(top / "bin/b", top / "z")
    (top / "alone").write_bytes(b"")
    (top / "alone").chmod(0o600)
    (top / "link").symlink_to("bin/b")
    os.mkfifo(top / "fifo", 0o622)
    (top / "fifo").chmod(0o622)
    path = os.fsencode(top)
    assert read_back(top) == [
        Entry(b"alone", Kind.FILE, 0o600, OWNER, 9, 0, path=path + b"/alone"),
        Entry(b"bin/", Kind.DIRECTORY, 0o1777, OWNER, 9, path=path + b"/bin"),
        Entry(b"bin/a", Kind.FILE, 0o4755, OWNER, 9, 3, path=path + b"/bin/a"),
        Entry(b"bin/b", Kind.HARDLINK, 0o4755, OWNER, 9, link=b"bin/a"),
        Entry(b"fifo", Kind.FIFO, 0o622, OWNER, 9, path=path + b"/fifo"),
        Entry(b"link", Kind.SYMLINK, 0o777, OWNER, 9, link=b"bin/b"),
        Entry(b"z", Kind.HARDLINK, 0o4755, OWNER, 9, link=b"bin/a"),
    ]


def test_a_link_to_a_name_outside_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root/a").write_bytes(b"x")
    os.link(tmp_path / "root/a", tmp_path / "outside")
    assert [(entry.name, entry.kind) for entry in read_back(tmp_path / "root")] == [(b"a", Kind.FILE)]


def test_devices_are_refused(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        lack("only root makes devices")
    (tmp_path / "root").mkdir()
    try:
        os.mknod(tmp_path / "root/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except PermissionError:
        lack("no devices can be made in this container")
    with pytest.raises(
        DockertoolsError, match=r"^/null: a socket or a device, which cannot be put in a layer; remove it$"
    ):
        read_back(tmp_path / "root")


def test_what_is_laid_out_is_read_back(tmp_path: Path) -> None:
    one = store_path(tmp_path, "one", {"bin/a": b"a", "etc/conf": b"c", "nix-support/x": b""})
    Path(one, "bin/a").chmod(0o755)
    (tmp_path / "root").mkdir()
    old = os.umask(0o022)
    try:
        lay_out(entries(RootSource((), (one,))), tmp_path / "root")
    finally:
        os.umask(old)
    assert [(entry.name, entry.kind, entry.mode) for entry in read_back(tmp_path / "root")] == [
        (b"bin/", Kind.DIRECTORY, 0o755),
        (b"bin/a", Kind.FILE, 0o755),
        (b"etc/", Kind.DIRECTORY, 0o755),
        (b"etc/conf", Kind.FILE, 0o644),
    ]
