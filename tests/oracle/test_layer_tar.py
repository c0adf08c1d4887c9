"""Layer tars of random trees: equal with the oracle's bytes, and read back as they were by tarfile and by GNU tar."""

import io
import os
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest

from dockertools_py.model.entry import ROOT
from dockertools_py.pack.layer import PathsSource
from dockertools_py.pack.tar import archive_size, with_parents
from dockertools_py.store.produce import entries, tar_chunks
from dockertools_py.store.tar_stream import tar_stream
from dockertools_py.store.walk import STORE_MODES, walk
from tests.oracle.layer_tar import Member, fits, store_members, tar_of
from tests.oracle.programs import need
from tests.oracle.trees import Node, random_tree, write_tree

SEEDS = range(12)
TOP = b"nix/store/0123456789abcdfghijklmnpqrsvwxyz-tree"


@pytest.fixture(params=SEEDS)
def seed(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def ours(top: str, name: bytes = TOP) -> bytes:
    return b"".join(bytes(c) for c in tar_stream(with_parents(walk(os.fsencode(top), name, STORE_MODES, ROOT, 1))))


def members_by_tarfile(data: bytes) -> list[Member]:
    """What the standard library reads, as the oracle's members."""
    found = []
    with tarfile.open(fileobj=io.BytesIO(data), encoding="utf-8", errors="surrogateescape") as archive:
        for info in archive:
            assert (info.uid, info.gid, info.uname, info.gname, info.mtime) == (0, 0, "", "", 1)
            content = archive.extractfile(info) if info.isreg() else None
            name = os.fsencode(info.name) + (b"/" if info.isdir() else b"")
            data = content.read() if content else b""
            found.append(Member(name, info.type, info.mode, data, os.fsencode(info.linkname)))
    return found


def test_equal_with_the_oracle_where_ustar_suffices(tmp_path: Path, seed: int) -> None:
    nodes = _that_fit(random_tree(seed, 200, (1, 2, 5, 8, 20, 47, 60, 99, 100)))
    assert len(nodes) > 20
    write_tree(nodes, str(tmp_path / "tree"))
    assert ours(str(tmp_path / "tree")) == tar_of(store_members(nodes, TOP))


def test_read_back_by_tarfile(tmp_path: Path, seed: int) -> None:
    nodes = random_tree(seed)
    write_tree(nodes, str(tmp_path / "tree"))
    assert members_by_tarfile(ours(str(tmp_path / "tree"))) == store_members(nodes, TOP)


def test_extracted_by_gnu_tar(tmp_path: Path, seed: int) -> None:
    nodes = random_tree(seed)
    write_tree(nodes, str(tmp_path / "tree"))
    (tmp_path / "out").mkdir()
    data = ours(str(tmp_path / "tree"), b"n")  # a short name, or the longest paths cannot be made in a temporary folder
    done = subprocess.run([need("tar"), "-xpC", tmp_path / "out"], input=data, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    top = os.fsencode(tmp_path / "out/n")
    for node in nodes:
        status = os.lstat(top + b"/" + node.path)
        if node.kind == "link":
            assert os.readlink(top + b"/" + node.path) == node.link
        elif node.kind == "directory":
            assert stat.S_IMODE(status.st_mode) == 0o555
        else:
            with open(top + b"/" + node.path, "rb") as file:
                assert file.read() == node.data
            assert stat.S_IMODE(status.st_mode) == (0o555 if node.executable else 0o444)
            assert status.st_mtime == 1
    assert _count(top) == len(nodes)
    subprocess.run(["chmod", "-R", "u+w", tmp_path / "out"], check=True)


def test_names_ascend_as_bytes_with_parents_first(tmp_path: Path) -> None:
    # Names without newlines, for sort. `a-b` is before `a/`, and `a.b` after `a-b` and before `a/`.
    nodes = [Node(name, "directory") for name in (b"a", b"a/x", b"a-b", b"a.b", b"a0", b"B")]
    nodes += [Node(name, "file") for name in (b"a/y", b"a-b/z", b"\xc3\xa4", b"\xff", b"~", b"a/x!")]
    write_tree(nodes, str(tmp_path / "tree"))
    listed = subprocess.run(
        f"{need('tar')} --quoting-style=literal -tf - | LC_ALL=C sort -c",
        shell=True,
        input=ours(str(tmp_path / "tree")),
        capture_output=True,
        check=False,
    )
    assert (listed.returncode, listed.stderr) == (0, b"")


def test_a_verbose_listing_by_gnu_tar(tmp_path: Path) -> None:
    write_tree([Node(b"run", "file", b"#!", True), Node(b"to", "link", link=b"run")], str(tmp_path / "tree"))
    command = [need("tar"), "--utc", "--full-time", "-tvf", "-"]
    data = ours(str(tmp_path / "tree"), b"d/t")
    listed = subprocess.run(command, input=data, capture_output=True, check=True).stdout.decode().splitlines()
    assert listed == [
        "drwxr-xr-x 0/0               0 1970-01-01 00:00:01 d/",
        "dr-xr-xr-x 0/0               0 1970-01-01 00:00:01 d/t/",
        "-r-xr-xr-x 0/0               2 1970-01-01 00:00:01 d/t/run",
        "lrwxrwxrwx 0/0               0 1970-01-01 00:00:01 d/t/to -> run",
    ]


def test_store_paths_that_are_a_link_or_a_single_file(tmp_path: Path) -> None:
    (tmp_path / "a-file").write_bytes(b"x")
    (tmp_path / "b-link").symlink_to("a-file")
    (tmp_path / "c-broken").symlink_to("nowhere")
    (tmp_path / "d-circle").symlink_to("d-circle")
    paths = tuple(str(tmp_path / name) for name in ("c-broken", "a-file", "d-circle", "b-link"))
    data = b"".join(map(bytes, tar_chunks(PathsSource(paths))))
    found = [member for member in members_by_tarfile(data) if member.typeflag != b"5"]
    top = os.fsencode(str(tmp_path)[1:])
    assert found == [
        Member(top + b"/a-file", b"0", 0o444, b"x"),
        Member(top + b"/b-link", b"2", 0o777, link=b"a-file"),
        Member(top + b"/c-broken", b"2", 0o777, link=b"nowhere"),
        Member(top + b"/d-circle", b"2", 0o777, link=b"d-circle"),
    ]


def test_the_size_is_known_before_the_bytes(tmp_path: Path) -> None:
    write_tree(random_tree(99), str(tmp_path / "tree"))
    source = PathsSource((str(tmp_path / "tree"),))
    assert archive_size(entries(source)) == sum(map(len, tar_chunks(source)))


def test_an_empty_closure_has_no_nix_at_all() -> None:
    assert b"".join(map(bytes, tar_chunks(PathsSource(())))) == bytes(1024)


def _that_fit(nodes: list[Node]) -> list[Node]:
    """The nodes that ustar can say: a folder that cannot is left out with what is in it."""
    members = {member.name.rstrip(b"/"): member for member in store_members(nodes, TOP)}
    folders, kept = {b""}, []
    for node in nodes:
        if node.path.rpartition(b"/")[0] in folders and fits(members[TOP + b"/" + node.path]):
            kept.append(node)
            if node.kind == "directory":
                folders.add(node.path)
    return kept


def _count(top: bytes) -> int:
    return sum(len(folders) + len(files) for _, folders, files in os.walk(top))
