"""Headers: what ustar says as the oracle says it, and what it cannot say read back by the standard library."""

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from dockertools_py.errors import DockertoolsError
from dockertools_py.model.entry import Entry, Kind, Owner
from dockertools_py.pack.tar import BLOCK, END, MAX_OCTAL_ID, MAX_OCTAL_SIZE, header, padding, with_parents
from dockertools_py.store.tar_stream import tar_stream
from tests.oracle.layer_tar import Member, split_of, ustar_header
from tests.oracle.programs import need

GIB = 1 << 30


def read_back(*entries: Entry) -> list[tarfile.TarInfo]:
    """Headers without content, by the standard library."""
    data = b"".join(map(header, entries)) + END
    with tarfile.open(fileobj=io.BytesIO(data), encoding="utf-8", errors="surrogateescape") as archive:
        return archive.getmembers()


def names_of_length(length: int) -> list[bytes]:
    """Names with the slash at each place that could matter, and without any."""
    names = [b"n" * length]
    for slash in {1, 50, 98, 99, 100, 101, 102, 153, 154, 155, 156, 157, length - 102, length - 101, length - 100}:
        if 0 < slash < length - 1:
            names.append(b"p" * slash + b"/" + b"n" * (length - slash - 1))
    return names


@pytest.mark.parametrize("length", range(99, 261))
def test_names_of_all_lengths_around_the_limits(length: int) -> None:
    for name in names_of_length(length):
        for entry in (Entry(name, Kind.FILE, 0o444), Entry(name[:-1] + b"/", Kind.DIRECTORY, 0o555)):
            made = header(entry)
            (info,) = read_back(entry)
            assert os.fsencode(info.name) == entry.name.rstrip(b"/")
            assert (info.isdir(), info.isreg()) == (entry.kind is Kind.DIRECTORY, entry.kind is Kind.FILE)
            if split_of(entry.name):
                assert made == ustar_header(Member(entry.name, entry.kind.value, entry.mode))
            else:
                assert len(made) >= 3 * BLOCK
                assert made[156:157] == b"x"


@pytest.mark.parametrize("length", [1, 99, 100, 101, 102, 254, 255, 256, 511, 512, 513, 4094, 4095])
def test_link_targets_of_all_lengths(length: int) -> None:
    entry = Entry(b"link", Kind.SYMLINK, 0o777, link=b"t" * length)
    (info,) = read_back(entry)
    assert os.fsencode(info.linkname) == entry.link
    assert (len(header(entry)) == BLOCK) == (length <= 100)


@pytest.mark.parametrize("name", [b"f" * 4095, b"d/" * 2047 + b"f", b"d/" * 2048])
def test_the_longest_names(name: bytes) -> None:
    kind = Kind.DIRECTORY if name.endswith(b"/") else Kind.FILE
    (info,) = read_back(Entry(name, kind, 0o555))
    assert os.fsencode(info.name) == name.rstrip(b"/")


@pytest.mark.parametrize("value", [b"\xff" * 101, b"\xff/" * 130 + b"x", b"a" * 300 + b"\x80\n="])
def test_names_that_are_not_utf8_say_that_they_are_binary(value: bytes) -> None:
    entry = Entry(value, Kind.SYMLINK, 0o777, link=value)
    assert b" hdrcharset=BINARY\n" in header(entry)
    (info,) = read_back(entry)
    assert (os.fsencode(info.name), os.fsencode(info.linkname)) == (value, value)


def test_names_in_utf8_and_short_ones_do_not_say_so() -> None:
    assert b"hdrcharset" not in header(Entry("ä".encode() * 200, Kind.FILE, 0o444))
    short = header(Entry(b"\xff\xfe", Kind.FILE, 0o444))
    assert short == ustar_header(Member(b"\xff\xfe", b"0", 0o444))


def test_a_pax_record_counts_its_own_digits() -> None:
    # Lengths around 100 and 1000, where the number of digits changes.
    for length in (*range(256, 266), *range(980, 1010)):
        name = b"x" * length
        block = header(Entry(name, Kind.FILE, 0o444))
        body = block[BLOCK : 2 * BLOCK] if length < 500 else block[BLOCK : 3 * BLOCK]
        record = body.rstrip(b"\0")
        assert record.endswith(b" path=" + name + b"\n")
        assert int(record.split(b" ")[0]) == len(record)


@pytest.mark.parametrize("size", [0, 1, 8 * GIB - 1, 8 * GIB, 100 * GIB, 1 << 43])
def test_sizes(size: int) -> None:
    entry = Entry(b"f", Kind.FILE, 0o444, size=size)
    made = header(entry)
    assert (len(made) == BLOCK) == (size <= MAX_OCTAL_SIZE)
    with tarfile.open(fileobj=io.BytesIO(made)) as archive:
        info = archive.next()
    assert info is not None
    assert info.size == size


@pytest.mark.parametrize("number", [0, 1000, MAX_OCTAL_ID, MAX_OCTAL_ID + 1, 65_536_000, (1 << 32) - 2])
def test_owners(number: int) -> None:
    for owner in (Owner(number, 0), Owner(0, number), Owner(number, number)):
        entry = Entry(b"f", Kind.FILE, 0o444, owner)
        (info,) = read_back(entry)
        assert (info.uid, info.gid) == owner
        assert (len(header(entry)) == BLOCK) == (number <= MAX_OCTAL_ID)


def test_the_first_owners_beyond_ustar_by_gnu_tar() -> None:
    data = b"".join(map(bytes, tar_stream([Entry(b"f", Kind.FILE, 0o444, Owner(2097152, 4294967294))])))
    done = subprocess.run([need("tar"), "-tvf", "-"], input=data, capture_output=True, check=True)
    assert done.stdout.split()[1] == b"2097152/4294967294"
    assert done.stderr == b""


def test_extended_attributes() -> None:
    capability = bytes.fromhex("0100000200200000000000000000000000000000")
    entry = Entry(b"ping", Kind.FILE, 0o555, xattrs=(("security.capability", capability), ("user.x", b"1\n=2")))
    made = header(entry)
    body = made[BLOCK : 2 * BLOCK].rstrip(b"\0")
    # Binary values stay as they are: the record's length says where one ends.
    first = b"57 SCHILY.xattr.security.capability=" + capability + b"\n"
    assert body == first + b"28 SCHILY.xattr.user.x=1\n=2\n"
    assert len(first) == 57
    (info,) = read_back(entry)
    assert set(info.pax_headers) == {"SCHILY.xattr.security.capability", "SCHILY.xattr.user.x"}


def test_devices_and_fifos() -> None:
    null, disk, fifo = read_back(
        Entry(b"dev/null", Kind.CHARACTER, 0o666, device=(1, 3)),
        Entry(b"dev/sda", Kind.BLOCK, 0o660, device=(8, 0)),
        Entry(b"fifo", Kind.FIFO, 0o600),
    )
    assert (null.ischr(), null.devmajor, null.devminor) == (True, 1, 3)
    assert (disk.isblk(), disk.devmajor, disk.devminor) == (True, 8, 0)
    assert fifo.isfifo()


def test_set_id_bits_and_nothing_above_them() -> None:
    (info,) = read_back(Entry(b"su", Kind.FILE, 0o104755))
    assert info.mode == 0o4755


def test_a_size_is_written_for_files_only() -> None:
    (info,) = read_back(Entry(b"d/", Kind.DIRECTORY, 0o555, size=7))
    assert info.size == 0


def test_padding() -> None:
    assert [padding(size) for size in (0, 1, 511, 512, 513, 8 * GIB + 1)] == [0, 511, 1, 0, 511, 511]


@pytest.mark.parametrize("name", [b"", b"/etc", b"a\0b", b"x" * 4097])
def test_names_that_no_layer_can_have(name: bytes) -> None:
    with pytest.raises(DockertoolsError, match=r"not a name for a layer: relative, no NUL, at most 4096 bytes"):
        header(Entry(name, Kind.FILE, 0o444))


@pytest.mark.parametrize("link", [b"a\0b", b"x" * 4096])
def test_link_targets_that_no_layer_can_have(link: bytes) -> None:
    with pytest.raises(DockertoolsError, match=r"^l: link target .*: no NUL, at most 4095 bytes$"):
        header(Entry(b"l", Kind.SYMLINK, 0o777, link=link))


@pytest.mark.parametrize("mtime", [-1, 1 << 33])
def test_times_that_ustar_cannot_say_are_refused(mtime: int) -> None:
    with pytest.raises(DockertoolsError, match=r"^f: mtime -?\d+: from 0 to 8589934591 seconds$"):
        header(Entry(b"f", Kind.FILE, 0o444, mtime=mtime))
    (info,) = read_back(Entry(b"f", Kind.FILE, 0o444, mtime=(1 << 33) - 1))
    assert info.mtime == (1 << 33) - 1


def test_missing_parents_are_made_once_and_above_what_needs_them() -> None:
    given = [
        Entry(b"a/b/c", Kind.FILE, 0o444),
        Entry(b"a/b/d/", Kind.DIRECTORY, 0o700),
        Entry(b"a/b/d/e", Kind.FILE, 0),
    ]
    made = list(with_parents(given))
    assert [entry.name for entry in made] == [b"a/", b"a/b/", b"a/b/c", b"a/b/d/", b"a/b/d/e"]
    assert [entry.mode for entry in made[:2]] == [0o755, 0o755]
    assert made[3].mode == 0o700


@pytest.mark.parametrize("names", [(b"b", b"a"), (b"a", b"a"), (b"a/", b"a-b")])
def test_entries_out_of_order_are_refused(names: tuple[bytes, bytes]) -> None:
    entries = [Entry(name, Kind.DIRECTORY if name[-1:] == b"/" else Kind.FILE, 0o555) for name in names]
    first, second = (name.decode() for name in names)
    with pytest.raises(DockertoolsError, match=f"^{second}: comes after {first}, but names must ascend$"):
        list(with_parents(entries))


def test_a_sparse_file_of_more_than_8_gib_begins_right(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.write(b"begin")
        file.truncate(9 * GIB)
    entry = Entry(b"large", Kind.FILE, 0o444, size=9 * GIB, path=os.fsencode(path))
    stream = tar_stream([entry])
    first = bytes(next(stream))
    stream.close()
    head = header(entry)
    assert first[: len(head) + 6] == head + b"begin\0"
    with tarfile.open(fileobj=io.BytesIO(first)) as archive:
        info = archive.next()
    assert info is not None
    assert (info.name, info.size) == ("large", 9 * GIB)
