"""The hot loop: sizes around its buffer, files that change under it, and views that stay valid as promised."""

import hashlib
import io
import os
import tarfile
from pathlib import Path

import pytest

from dockertools_py.errors import DockertoolsError
from dockertools_py.model.entry import Entry, Kind
from dockertools_py.store.tar_stream import BUFFER_SIZE, BUFFERS, CACHED_SIZE, tar_stream
from tests.oracle.layer_tar import Member, tar_of


def file_entry(folder: Path, name: str, data: bytes) -> Entry:
    (folder / name).write_bytes(data)
    return Entry(name.encode(), Kind.FILE, 0o444, size=len(data), path=os.fsencode(folder / name))


def around(size: int) -> list[tuple[int, int]]:
    """Sizes of files, and that of the buffer."""
    near = [size + d for d in (-1537, -1536, -1025, -1024, -1023, -513, -512, -511, -1, 0, 1, 511, 512, 513)]
    return [(file, size) for file in [0, 1, 511, 512, 513, *near, 2 * size, 3 * size - 512, 3 * size + 7]]


@pytest.mark.parametrize(("size", "buffer_size"), around(BUFFER_SIZE) + around(CACHED_SIZE))
def test_sizes_around_the_buffer(tmp_path: Path, size: int, buffer_size: int) -> None:
    contents = {"a": b"small", "b": os.urandom(1) * size, "c": b"after", "d": b""}
    entries = [file_entry(tmp_path, name, data) for name, data in contents.items()]
    chunks = list(map(bytes, tar_stream(entries, buffer_size)))
    found = b"".join(chunks)
    assert max(map(len, chunks)) <= buffer_size
    assert found == tar_of([Member(name.encode(), b"0", 0o444, data) for name, data in contents.items()])


def test_many_small_files_fill_several_buffers(tmp_path: Path) -> None:
    contents = {f"f{number:04}": bytes([number % 256]) * (number * 7 % 3000) for number in range(1500)}
    chunks = list(map(bytes, tar_stream([file_entry(tmp_path, name, data) for name, data in contents.items()])))
    assert b"".join(chunks) == tar_of([Member(name.encode(), b"0", 0o444, data) for name, data in contents.items()])
    assert len(chunks) < 8
    assert max(map(len, chunks)) <= BUFFER_SIZE


def test_a_view_is_valid_until_two_more_were_drawn(tmp_path: Path) -> None:
    entries = [file_entry(tmp_path, f"{number:02}", bytes([number]) * 700_000) for number in range(20)]
    plain, late, held = hashlib.sha256(), hashlib.sha256(), []
    for view in tar_stream(entries):
        plain.update(view)
        held.append(view)
        if len(held) == BUFFERS:
            late.update(held.pop(0))
    for view in held:
        late.update(view)
    assert late.digest() == plain.digest()


def test_content_at_hand(tmp_path: Path) -> None:
    entries = [
        Entry(b"a", Kind.FILE, 0o444, size=3, data=b"abc"),
        Entry(b"b", Kind.FILE, 0o444, size=0),
        Entry(b"c", Kind.FILE, 0o444, size=2_000_000, data=b"c" * 2_000_000),
        file_entry(tmp_path, "d", b"on disk"),
    ]
    contents = [b"abc", b"", b"c" * 2_000_000, b"on disk"]
    found = b"".join(map(bytes, tar_stream(entries)))
    assert found == tar_of([Member(e.name, b"0", 0o444, d) for e, d in zip(entries, contents, strict=True)])


@pytest.mark.parametrize("size", [10, BUFFER_SIZE - 600, 3 * BUFFER_SIZE])
@pytest.mark.parametrize("change", [-1, 1])
def test_a_file_that_has_another_size_than_its_entry(tmp_path: Path, size: int, change: int) -> None:
    entry = file_entry(tmp_path, "f", b"x" * size)
    (tmp_path / "f").write_bytes(b"x" * (size + change))
    with pytest.raises(DockertoolsError) as caught:
        list(tar_stream([entry]))
    assert str(caught.value) == (f"{tmp_path}/f: its size is not the {size} bytes that it had: is it being written?")


def test_a_link_in_the_place_of_a_file_is_not_followed(tmp_path: Path) -> None:
    entry = file_entry(tmp_path, "f", b"x")
    (tmp_path / "f").rename(tmp_path / "g")
    (tmp_path / "f").symlink_to("g")
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        list(tar_stream([entry]))


@pytest.mark.parametrize("buffer_size", [BUFFER_SIZE, CACHED_SIZE])
@pytest.mark.parametrize("size", [60_000, CACHED_SIZE - 2_000, CACHED_SIZE, CACHED_SIZE + 512, BUFFER_SIZE])
def test_headers_that_are_larger_than_small_files(tmp_path: Path, size: int, buffer_size: int) -> None:
    xattrs = (("user.x", os.urandom(size)),)
    files = [file_entry(tmp_path, f"f{number:02}", b"x" * number) for number in range(10)]
    entries = [file._replace(xattrs=xattrs) for file in files]
    entries.append(Entry(b"g", Kind.FILE, 0o444, size=3, data=b"abc", xattrs=xattrs))
    with tarfile.open(fileobj=io.BytesIO(b"".join(map(bytes, tar_stream(entries, buffer_size))))) as archive:
        found = [archive.extractfile(member) for member in archive.getmembers()]
        assert [file and file.read() for file in found] == [*(b"x" * number for number in range(10)), b"abc"]


def test_no_file_is_left_open(tmp_path: Path) -> None:
    entry = file_entry(tmp_path, "f", b"x" * 3 * BUFFER_SIZE)
    before = len(os.listdir("/proc/self/fd"))
    stream = tar_stream([entry])
    next(stream)
    stream.close()
    list(tar_stream([entry]))
    assert len(os.listdir("/proc/self/fd")) == before
