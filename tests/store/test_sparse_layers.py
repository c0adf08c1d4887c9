"""Layers with sparse files: read, flattened and compared as if they had none."""

import random
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from dockertools_py.errors import DockertoolsError
from dockertools_py.formats.image_reader import read_layer
from dockertools_py.formats.members import ArchiveMembers, Reader, SingleFile
from dockertools_py.pack import sparse
from dockertools_py.pack.delta import delta
from dockertools_py.pack.flat import flat
from dockertools_py.store.open_tree import Opener, OpenTree
from tests.oracle.programs import need
from tests.oracle.stacks import stored
from tests.pack.test_sparse import FORMATS, SEGMENTS, pax_map, sparse_file, sparse_tar

STORE_PATH = "nix/store/" + "a" * 32 + "-sparse"


def exported(layers: list[bytes], folder: Path, how: str = "none") -> bytes:
    tree = opened(layers, folder, how)
    return b"".join(tree.tar(flat(tree.tree)))


def opened(layers: list[bytes], folder: Path, how: str = "none") -> OpenTree:
    (folder / "blobs").mkdir(parents=True)
    return Opener(folder / "spool", None).open([stored(layer, folder / "blobs", how) for layer in layers])


@pytest.mark.parametrize("form", FORMATS)
def test_flat_as_tar_unpacks_it(form: str, tmp_path: Path) -> None:
    dice = random.Random(form)
    files = {f"d/{count}": sparse_file(dice, count) for count in SEGMENTS}
    lower = sparse_tar(tmp_path / "tree", files, form)
    # A whiteout whose name is in the map's records, and a file that covers one.
    upper = sparse_tar(tmp_path / "tree", {"d/.wh.3": sparse_file(dice, 2), "d/4": sparse_file(dice, 5)}, form)
    flat_tar = exported([lower, upper], tmp_path / "plain")
    assert exported([lower, upper], tmp_path / "gz", "gz") == flat_tar
    (tmp_path / "unpacked").mkdir()
    for tar in (lower, upper):
        subprocess.run([need("tar"), "-x", "-C", tmp_path / "unpacked"], input=tar, check=True)
    for name in ("3", ".wh.3"):
        (tmp_path / "unpacked/d" / name).unlink()
    with tarfile.open(fileobj=BytesIO(flat_tar)) as archive:
        found = {member.name: archive.extractfile(member).read() for member in archive if member.isfile()}  # type: ignore[union-attr]
    assert found == {f"d/{file.name}": file.read_bytes() for file in (tmp_path / "unpacked/d").iterdir()}
    assert len(found) == len(SEGMENTS) - 1


@pytest.mark.parametrize("form", FORMATS)
def test_a_store_path_is_the_same_with_and_without_holes(form: str, tmp_path: Path) -> None:
    data = sparse_file(random.Random(1), 30)
    with_holes = sparse_tar(tmp_path / "tree", {f"{STORE_PATH}": data}, form)
    dense = subprocess.run(
        [need("tar"), "-cf", "-", "-C", tmp_path / "tree", STORE_PATH], capture_output=True, check=True
    ).stdout
    contents = []
    for number, tar in enumerate((with_holes, dense)):
        file = tmp_path / f"{number}.tar"
        file.write_bytes(tar)
        layer, content = read_layer(Reader(SingleFile(file)), file.name)
        assert layer.store_paths == (f"/{STORE_PATH}",)
        contents.append(content)
    assert contents[0] == contents[1]
    old, new = opened([dense], tmp_path / "old"), opened([with_holes], tmp_path / "new")
    assert not delta(old.tree, new.tree, lambda one, two: old.same_content(one, new, two)).members


def test_an_exabyte_is_read_but_not_written(tmp_path: Path) -> None:
    tar = pax_map("0,1", stored=b"x", size=str(1 << 60))
    file = tmp_path / "layer.tar"
    file.write_bytes(tar)
    _, content = read_layer(Reader(SingleFile(file)), file.name)
    assert [entry.size for entry in content.places] == [1 << 60]
    with pytest.raises(
        DockertoolsError, match=f"f: a sparse file of {1 << 60} bytes, of which 1 are stored: more than"
    ):
        exported([tar], tmp_path / "out")


def test_holes_are_counted_for_all_files_of_a_layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dockertools_py.store.opened_layer.MAX_HOLES", 9_998)
    tar = pax_map("0,1", stored=b"x") + pax_map("0,1", ("path", "g"), stored=b"x")
    exported([tar], tmp_path / "enough")
    monkeypatch.setattr("dockertools_py.store.opened_layer.MAX_HOLES", 9_997)
    with pytest.raises(DockertoolsError, match="g: a sparse file of 5000 bytes, of which 1 are stored: more than 9997"):
        exported([tar], tmp_path / "out")
    assert sparse.MAX_HOLES == 8 << 30


def test_a_sparse_member_of_an_archive(tmp_path: Path) -> None:
    (tmp_path / "archive.tar").write_bytes(pax_map("0,1", stored=b"x"))
    with pytest.raises(
        DockertoolsError, match=r"archive\.tar: f: a sparse member of the archive: make the archive without"
    ):
        ArchiveMembers(tmp_path / "archive.tar")
