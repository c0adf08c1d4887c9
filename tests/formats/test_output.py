"""Blobs copied from file to file, wherever they begin and wherever they go."""

import os
import random
import threading
from pathlib import Path

import pytest

from dockertools_py.errors import DockertoolsError
from dockertools_py.formats.output import _PIECE_SIZE, PAGE, Output, new_file
from dockertools_py.model.digest import Digest
from dockertools_py.pack.layer import BlobSource

DATA = random.Random(1).randbytes(_PIECE_SIZE + 3 * PAGE)


def source(file: Path, offset: int, size: int) -> BlobSource:
    return BlobSource(str(file), offset, size, Digest.of(b""))


@pytest.mark.parametrize("position", [0, 512, PAGE])
@pytest.mark.parametrize("offset", [0, 512, PAGE + 512])
@pytest.mark.parametrize("size", [0, 1, PAGE, _PIECE_SIZE + 700])
def test_ranges(tmp_path: Path, position: int, offset: int, size: int) -> None:
    (tmp_path / "blob").write_bytes(DATA)
    with new_file(tmp_path / "out") as out:
        out.write(b"-" * position)
        out.copy(source(tmp_path / "blob", offset, size))
        out.write(b"end")
    assert (tmp_path / "out").read_bytes() == b"-" * position + DATA[offset : offset + size] + b"end"


def test_into_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(DATA)
    reading, writing = os.pipe()
    got: list[bytes] = []
    with open(reading, "rb") as pipe:
        thread = threading.Thread(target=lambda: got.append(pipe.read()))
        thread.start()
        Output(writing).copy(source(tmp_path / "blob", 512, _PIECE_SIZE))
        os.close(writing)
        thread.join()
    assert got == [DATA[512 : 512 + _PIECE_SIZE]]


@pytest.mark.parametrize("offset", [0, 512])
def test_a_file_that_is_too_short(tmp_path: Path, offset: int) -> None:
    (tmp_path / "blob").write_bytes(DATA[: offset + 100])
    with (
        pytest.raises(DockertoolsError, match="ends 1 bytes before the end of the blob"),
        new_file(tmp_path / "out") as out,
    ):
        out.copy(source(tmp_path / "blob", offset, 101))
    assert not (tmp_path / "out").exists()
