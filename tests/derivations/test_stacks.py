"""What two images show at a path, where a file is sparse in one of them."""

from pathlib import Path

import pytest

from dockertools_py.derivations.stacks import Stack
from dockertools_py.model.entry import Kind
from dockertools_py.pack.tar_reader import ChunkStream, members
from dockertools_py.store.description import write_layers, write_places
from tests.oracle.layer_tar import Member, tar_of
from tests.oracle.stacks import stored
from tests.pack.test_sparse import in_content, old, pax_map

DENSE = tar_of([Member(b"f", b"0", 0o644, bytes(4096) + b"x" + bytes(903)), Member(b"g", b"0", 0o644, b"after")])
AFTER = tar_of([Member(b"g", b"0", 0o644, b"after")])
SPARSE = {
    "old": old(5000, (4096, 1), stored=b"x"),
    "0.1": pax_map("0,0,4096,1", stored=b"x"),
    "1.0": in_content("1\n4096\n1\n", b"x", name="f"),
}
HUGE = pax_map("4096,1", stored=b"x", size=str(1 << 60)) + AFTER


def stack(tar: bytes, folder: Path) -> Stack:
    folder.mkdir()
    write_layers(folder, [stored(tar, folder)])
    places = [member.entry() for member in members(ChunkStream([tar]))]
    assert {entry.kind for entry in places} == {Kind.FILE}
    write_places(folder, [places])
    found = Stack()
    found.add([folder], 0)
    return found


@pytest.mark.parametrize("form", SPARSE)
def test_holes_are_zeros(form: str, tmp_path: Path) -> None:
    dense, sparse = stack(DENSE, tmp_path / "dense"), stack(SPARSE[form] + AFTER, tmp_path / "sparse")
    assert sparse.shown(b"f") == dense.shown(b"f")
    assert sparse.shown(b"g") == dense.shown(b"g")


def test_more_holes_than_anybody_writes(tmp_path: Path) -> None:
    one, same, dense = stack(HUGE, tmp_path / "1"), stack(HUGE, tmp_path / "2"), stack(DENSE, tmp_path / "3")
    assert one.shown(b"f") == same.shown(b"f") != dense.shown(b"f")
    assert one.shown(b"g") == dense.shown(b"g")
