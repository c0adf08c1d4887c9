"""Sparse members: each format as GNU tar writes it, and maps that lie."""

import random
import subprocess
from pathlib import Path

import pytest

from dockertools_py.errors import DockertoolsError
from dockertools_py.pack.sparse import MAX_MAP, MAX_SEGMENTS, filled
from dockertools_py.pack.tar_reader import TarMember
from tests.oracle.programs import need
from tests.pack.test_tar_reader import failure, pax, raw, read

FORMATS = {
    "gnu": ["--format=gnu"],
    "0.0": ["--format=posix", "--sparse-version=0.0"],
    "0.1": ["--format=posix", "--sparse-version=0.1"],
    "1.0": ["--format=posix", "--sparse-version=1.0"],
}
BLOCK, HOLE = 512, 4096
SEGMENTS = (0, 1, 3, 4, 5, 24, 25, 26, 47, 300)
"""Of the old format four are in the header, and 21 in each block that follows."""


def sparse_file(dice: random.Random, segments: int) -> bytes:
    """Data with holes between; also at the begin and at the end, sometimes."""
    data = bytearray(HOLE * dice.choice((0, 2)))
    for _ in range(segments):
        data += b"x" * (BLOCK * dice.choice((1, 9)) - dice.choice((0, 1)))
        data += bytes(-len(data) % HOLE + HOLE * dice.choice((1, 2)))
    return bytes(data + bytes(dice.choice((0, 3, 5000)))) if segments else bytes(9000)


def write_with_holes(file: Path, data: bytes) -> None:
    """GNU tar looks for holes only where a file takes less of the disk than its size."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as out:
        for at in range(0, len(data), HOLE):
            if any(data[at : at + HOLE]):
                out.seek(at)
                out.write(data[at : at + HOLE])
        out.truncate(len(data))


def sparse_tar(folder: Path, files: dict[str, bytes], form: str) -> bytes:
    for name, data in files.items():
        write_with_holes(folder / name, data)
    command = [need("tar"), "-S", "--hole-detection=raw", *FORMATS[form], "-cf", "-", "-C", folder, *files]
    return subprocess.run(command, capture_output=True, check=True).stdout


def content(member: TarMember, tar: bytes) -> bytes:
    if member.segments is None:
        return tar[member.offset : member.offset + member.size]
    stored = tar[member.offset : member.offset + sum(length for _, length in member.segments)]
    pieces = (stored[at : at + 700] for at in range(0, len(stored), 700))
    return b"".join(filled(pieces, member.size, member.segments))


@pytest.mark.parametrize("form", FORMATS)
def test_what_gnu_tar_writes(form: str, tmp_path: Path) -> None:
    dice = random.Random(form)
    files = {f"{count}/{'n' * dice.choice((3, 120))}": sparse_file(dice, count) for count in SEGMENTS}
    files |= {"between": b"dense", "last": b"x" * 600}
    tar = sparse_tar(tmp_path, dict(sorted(files.items())), form)
    found = {member.name.decode(): member for member in read(tar, 1000)}
    assert {name: content(member, tar) for name, member in found.items()} == files
    sparse = [name for name, member in found.items() if member.segments is not None]
    assert len(sparse) == len(SEGMENTS)
    # GNU tar adds a segment without bytes where the file ends in a hole.
    assert {len(found[name].segments or ()) for name in sparse} >= {4, 5, 25, 26}


def test_holes_are_not_stored(tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(1 << 43)
        file.seek(1 << 42)
        file.write(b"x" * BLOCK)
    for form, options in FORMATS.items():
        tar = subprocess.run(
            [need("tar"), "-S", *options, "-cf", "-", "-C", tmp_path, "huge"], capture_output=True, check=True
        ).stdout
        (member,) = read(tar)
        assert (member.name, member.size, len(tar) < 1 << 17) == (b"huge", 1 << 43, True), form


def octal(value: int) -> bytes:
    return b"%011o\0" % value


def old(size: int, *segments: tuple[int, int], stored: bytes = b"", extended: bytes = b"\0") -> bytes:
    """A member of type S; `segments` are of the header."""
    numbers = b"".join(octal(offset) + octal(length) for offset, length in segments)
    return raw(typeflag=b"S", data=stored, fields={257: b"ustar  \0", 386: numbers, 482: extended, 483: octal(size)})


def pax_map(numbers: str, *more: tuple[str, str], stored: bytes = b"", size: str = "5000") -> bytes:
    return pax(("GNU.sparse.size", size), ("GNU.sparse.map", numbers), *more) + raw(data=stored)


def in_content(lines: str, stored: bytes = b"", size: str = "5000", name: str = "real") -> bytes:
    data = lines.encode()
    data += bytes(-len(data) % BLOCK) + stored
    version = ("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0")
    return pax(*version, ("GNU.sparse.realsize", size), ("GNU.sparse.name", name)) + raw(data=data)


def pairs(*records: tuple[str, str]) -> bytes:
    return pax(("GNU.sparse.size", "9"), *((f"GNU.sparse.{key}", value) for key, value in records)) + raw(data=b"xy")


def test_the_hand_made_ones_are_right_but_for_what_is_wrong() -> None:
    for tar, name in (
        (old(5000, (4096, 1), stored=b"x"), b"f"),
        (pax_map("4096,1", ("GNU.sparse.numblocks", "1"), stored=b"x"), b"f"),
        (pax_map("4096,1", ("GNU.sparse.name", "real"), stored=b"x"), b"real"),
        (in_content("1\n4096\n1\n", b"x"), b"real"),
    ):
        (member,) = read(tar)
        assert (member.name, member.size, member.segments) == (name, 5000, ((4096, 1),))
        assert content(member, tar) == bytes(4096) + b"x" + bytes(903)
    (member,) = read(pairs(("offset", "0"), ("numbytes", "1"), ("offset", "8"), ("numbytes", "1")))
    assert member.segments == ((0, 1), (8, 1))
    (member,) = read(old(1, (0, 1), stored=b"x", extended=b"\1")[:512] + bytes(512) + b"x" + bytes(511))
    assert member.segments == ((0, 1),)


HOSTILE = {
    "overlapping": (pax_map("0,4,2,2", stored=b"x" * 6), "f: a sparse map whose segment at 2 of 2 bytes overlaps"),
    "not in order": (old(5000, (9, 1), (0, 1), stored=b"xy"), "f: a sparse map whose segment at 0 of 1 bytes overlaps"),
    "beyond the file": (in_content("1\n4999\n2\n", b"xy"), "f: a sparse map that ends at 5001, in a file of 5000"),
    "less than stored": (pax_map("0,1", stored=b"xy"), "f: a sparse map of 1 bytes, but 2 are stored"),
    "more than stored": (old(5000, (0, 9), stored=b"xy"), "f: a sparse map of 9 bytes, but 2 are stored"),
    "a map beyond the content": (
        in_content("") + b"0\n" + bytes(BLOCK - 2),
        "f: a sparse map of 0 bytes, but -512 are stored",
    ),
    "half a segment": (pax_map("0,1,2", stored=b"x"), "f: a sparse map of 3 numbers for some segments"),
    "another count": (
        pax_map("0,1", ("GNU.sparse.numblocks", "2"), stored=b"x"),
        "f: a sparse map of 2 numbers for 2 segments",
    ),
    "a negative offset": (pax_map("-1,1", stored=b"x"), "f: a sparse map with -1, which is no number"),
    "a negative length": (
        old(5, stored=b"", extended=b"\0").replace(bytes(12), b"", 0)[:0]
        + raw(typeflag=b"S", fields={386: octal(1) + b"\xff" * 12, 483: octal(5)}),
        "f: a sparse map whose segment at 1 of -1 bytes overlaps",
    ),
    "letters": (in_content("1\nx\n1\n", b"x"), "f: a sparse map with x, which is no number"),
    "letters in the header": (
        raw(typeflag=b"S", fields={386: b"12x" + bytes(9)}),
        "f: a tar header with sparse offset 12x",
    ),
    "a number of 30 digits": (pax_map("1" * 30 + ",0"), "f: a sparse map with 111111111111111111111111111111, which"),
    "a count of 20 digits": (
        in_content("9" * 20 + "\n" + "0\n" * 200),
        "f: the tar ends in the middle of a sparse map",
    ),
    "without an end": (in_content("1" * 600), "f: the tar ends in the middle of a sparse map"),
    "a map of megabytes": (
        in_content("99999999\n" + "0\n" * MAX_MAP),
        f"f: a sparse map of more than the {MAX_MAP} bytes",
    ),
    "blocks without end": (
        old(5000, extended=b"\1") + (bytes(504) + b"\1" + bytes(7)) * (MAX_MAP // BLOCK + 1),
        f"f: a sparse map of more than the {MAX_MAP} bytes",
    ),
    "a block that is not there": (old(5000, extended=b"\1"), "f: the tar ends in the middle of a sparse map"),
    "too many segments in all": (
        in_content("80000\n" + "0\n0\n" * 80000) * (MAX_SEGMENTS // 80000 + 1),
        f"sparse maps of more than {MAX_SEGMENTS} segments",
    ),
    "without a size": (pax(("GNU.sparse.map", "0,1")) + raw(data=b"x"), "f: a sparse member without the record GNU.sp"),
    "without a map": (
        pax(("GNU.sparse.size", "1")) + raw(data=b"x"),
        "f: a sparse member of version 0.0 without a map",
    ),
    "another version": (
        pax(("GNU.sparse.major", "2"), ("GNU.sparse.map", "0,1")) + raw(data=b"x"),
        "f: a sparse member of version 2.0 without a map that is known",
    ),
    "half a pair": (pairs(("offset", "0")), "f: a sparse map of 1 numbers"),
    "pairs in disorder": (
        pairs(("offset", "0"), ("offset", "1")),
        "the pax record GNU.sparse.offset where the other half of a pair must be",
    ),
    "of a directory": (pax(("GNU.sparse.size", "1")) + raw(b"d/", b"5"), "d/: a sparse map, but no file"),
    "for all members": (
        pax(("GNU.sparse.size", "1"), ("GNU.sparse.map", "0,1"), typeflag=b"g") + raw(data=b"x") + raw(),
        "f: a sparse map of 1 bytes, but 0 are stored",
    ),
    "a size beyond all disks": (
        pax_map("0,1", stored=b"x", size=str(1 << 61)),
        "f: a sparse file of 23058430092136939",
    ),
    "a name of 5,000 bytes": (
        pax_map("0,1", ("GNU.sparse.name", "n" * 5000), stored=b"x"),
        "a name of 5000 bytes: nnn",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_maps_that_lie(case: str) -> None:
    data, message = HOSTILE[case]
    assert failure(data).startswith(message)


def test_content_that_ends_too_early() -> None:
    with pytest.raises(DockertoolsError, match="a sparse file ends 2 bytes too early"):
        list(filled([b"x"], 5, ((1, 3),)))
