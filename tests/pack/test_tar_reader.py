"""Reading tars: each format as GNU tar and the standard library write it, and what is hostile."""

import io
import os
import random
import subprocess
import tarfile
import tracemalloc
from pathlib import Path

import pytest

from dockertools_py.errors import DockertoolsError
from dockertools_py.model.entry import Kind
from dockertools_py.pack.tar_reader import MAX_EXTENSION, ChunkStream, FileStream, TarMember, members
from tests.oracle.layer_tar import Member, tar_of, ustar_header
from tests.oracle.programs import need
from tests.oracle.trees import Node, random_tree, write_tree

FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
KINDS = {"directory": Kind.DIRECTORY, "file": Kind.FILE, "link": Kind.SYMLINK}


def read(data: bytes, cut: int = 1 << 20) -> list[TarMember]:
    """The members, by both kinds of stream, which must agree."""
    from_chunks = list(members(ChunkStream(data[at : at + cut] for at in range(0, len(data), cut))))
    assert list(members(FileStream(io.BytesIO(data), len(data)))) == from_chunks
    return from_chunks


def failure(data: bytes) -> str:
    texts = []
    for stream in (ChunkStream([data]), FileStream(io.BytesIO(data), len(data))):
        with pytest.raises(DockertoolsError) as caught:
            list(members(stream))
        texts.append(str(caught.value))
        assert "\n" not in texts[-1]
    assert texts[0] == texts[1]
    return texts[0]


def short_tree(seed: int) -> list[Node]:
    """A tree that even v7 can say: short names and links."""
    nodes = random_tree(seed, 40, (1, 2, 5, 8))
    return [node for node in nodes if len(node.path) < 90 and len(node.link) < 100]


@pytest.mark.parametrize("form", ["v7", "oldgnu", "gnu", "ustar", "pax"])
def test_what_gnu_tar_writes(tmp_path: Path, form: str) -> None:
    nodes = short_tree(3) if form in ("v7", "ustar") else random_tree(3)
    write_tree(nodes, str(tmp_path / "tree"))
    command = [need("tar"), f"--format={form}", "--mtime=@7", "--owner=12", "--group=34", "-cf", "-", "-C"]
    data = subprocess.run([*command, tmp_path / "tree", "."], capture_output=True, check=True).stdout
    found = {member.name.removeprefix(b"./").rstrip(b"/"): member for member in read(data, 1000)}
    assert set(found) == {b"", *(node.path for node in nodes)}
    for node in nodes:
        member = found[node.path]
        assert (member.kind, member.size, member.link) == (KINDS[node.kind], len(node.data), node.link)
        assert data[member.offset : member.offset + member.size] == node.data
        assert (member.uid, member.gid, member.mtime) == (12, 34, 7)


@pytest.mark.parametrize("form", FORMATS)
def test_what_the_standard_library_writes(tmp_path: Path, form: str) -> None:
    nodes = short_tree(5) if form == "ustar" else random_tree(5)
    write_tree(nodes, str(tmp_path / "tree"))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=FORMATS[form], encoding="utf-8") as archive:
        archive.add(os.fspath(tmp_path / "tree"), "t")
    found = {member.name.rstrip(b"/"): member for member in read(buffer.getvalue())}
    # pax in the standard library writes names that are not UTF-8 with surrogates: those are its own affair.
    names = [node for node in nodes if form != "pax" or _is_utf8(node.path + node.link)]
    assert len(names) > 3
    for node in names:
        member = found[b"t/" + node.path]
        assert (member.kind, member.size, member.link) == (KINDS[node.kind], len(node.data), node.link)


def test_numbers_in_base_256() -> None:
    info = tarfile.TarInfo("f")
    info.uid, info.gid, info.size, info.mtime = 1 << 40, (1 << 32) - 2, 1 << 41, -5
    member = next(members(ChunkStream([info.tobuf(tarfile.GNU_FORMAT)])))
    assert (member.uid, member.gid, member.size, member.mtime) == (1 << 40, (1 << 32) - 2, 1 << 41, -5)


def test_numbers_in_pax_records() -> None:
    info = tarfile.TarInfo("f")
    info.uid, info.gid, info.size, info.mtime = 1 << 40, 1 << 22, 1 << 41, 12.5
    member = next(members(ChunkStream([info.tobuf(tarfile.PAX_FORMAT)])))
    assert (member.uid, member.gid, member.size, member.mtime) == (1 << 40, 1 << 22, 1 << 41, 12)


def test_global_records_hold_until_the_end_and_local_ones_for_a_member() -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"uid": "77"}) as archive:
        first = tarfile.TarInfo("one")
        first.pax_headers = {"uid": "5", "comment": "x"}
        archive.addfile(first)
        archive.addfile(tarfile.TarInfo("two"))
    one, two = read(buffer.getvalue())
    assert (one.uid, two.uid) == (5, 77)
    assert dict(one.records)["comment"] == b"x"
    assert "comment" not in dict(two.records)


def test_global_records_without_a_meaning_are_not_carried_along() -> None:
    # A megabyte of them, copied and sorted for each of a million members, would take days.
    member, _ = read(pax(*((f"k{number}", "") for number in range(1000)), ("gid", "7"), typeflag=b"g") + 2 * raw())
    assert (member.gid, member.records) == (7, (("gid", b"7"),))


def test_all_kinds() -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for number, kind in enumerate(Kind):
            info = tarfile.TarInfo(f"{number}")
            info.type, info.linkname, info.devmajor, info.devminor = kind.value, "0", 8, 1
            archive.addfile(info)
    found = read(buffer.getvalue())
    assert [member.kind for member in found] == list(Kind)
    assert {member.device for member in found if member.kind in (Kind.BLOCK, Kind.CHARACTER)} == {(8, 1)}


def test_a_checksum_of_signed_bytes() -> None:
    header = bytearray(ustar_header(Member(b"\xff\xfe", b"0", 0o644)))
    signed = sum(byte - 256 if byte > 127 else byte for i, byte in enumerate(header) if not 148 <= i < 156) + 8 * 32
    header[148:156] = f"{signed:06o}\0 ".encode()
    assert [member.name for member in read(bytes(header) + bytes(1024))] == [b"\xff\xfe"]


def test_the_end_may_be_missing_between_members() -> None:
    data = tar_of([Member(b"f", b"0", 0o644, b"x" * 600)])
    assert len(read(data[:-512])) == len(read(data[:-1024])) == 1


GOOD = tar_of([Member(b"d/", b"5", 0o755), Member(b"d/f", b"0", 0o644, b"x" * 1500), Member(b"e", b"0", 0o644, b"y")])


@pytest.mark.parametrize("length", range(512, len(GOOD) - 1024, 512))
def test_truncated_at_each_block(length: int) -> None:
    if length in (512, 2560):  # between two members
        assert read(GOOD[:length])
    else:
        assert failure(GOOD[:length]).startswith("the tar ends ")


@pytest.mark.parametrize("length", [1, 100, 511, 600, 1023, 1025, 3071])
def test_truncated_within_a_block(length: int) -> None:
    assert failure(GOOD[:length]).startswith("the tar ends ")


def raw(name: bytes = b"f", typeflag: bytes = b"0", data: bytes = b"", fields: dict[int, bytes] | None = None) -> bytes:
    """A member of which some bytes are put in by their offset, with a checksum that is right."""
    header = bytearray(ustar_header(Member(name, typeflag, 0o644, data)))
    for at, value in (fields or {}).items():
        header[at : at + len(value)] = value
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    return bytes(header) + data + bytes(-len(data) % 512)


def pax(*records: tuple[str, str], typeflag: bytes = b"x") -> bytes:
    body = b""
    for key, value in records:
        rest = f" {key}={value}\n".encode()
        length = len(rest) + 1
        while length != len(rest) + len(str(length)):
            length = len(rest) + len(str(length))
        body += str(length).encode() + rest
    return raw(b"pax", typeflag, body)


NEGATIVE = b"\xff" * 12
HOSTILE = {
    "a wrong checksum": (GOOD[:10] + b"!" + GOOD[11:], "no tar header at byte 0: its checksum is wrong"),
    "letters in the size": (raw(fields={124: b"12x"}), r"a tar header with size 12x00000000\u0000"),
    "eights in the mode": (raw(fields={100: b"0000888"}), "a tar header with mode 0000888"),
    "a negative size": (raw(fields={124: NEGATIVE}), "a member of -1 bytes at byte 0"),
    "a size beyond all disks": (raw(fields={124: b"\x80" + b"\x7f" * 11}), "a member of "),
    "a negative pax size": (pax(("size", "-1")) + raw(), "a member of -1 bytes"),
    "a pax size of 30 digits": (pax(("size", "1" * 30)) + raw(), "pax record size=1"),
    "a pax size that is no number": (pax(("size", "1e9")) + raw(), "pax record size=1e9: not a number"),
    "a pax uid that is no number": (pax(("uid", "")) + raw(), "pax record uid=: not a number"),
    "a size that leads beyond the end": (raw(fields={124: b"00077777777"}), "the tar ends "),
    "a record that is too long": (
        raw(typeflag=b"x", data=b"99 a=b\n") + raw(),
        "a pax record that cannot be read: 99 a=b",
    ),
    "a record that is too short": (raw(typeflag=b"x", data=b"3 a=b\n") + raw(), "a pax record that cannot be read"),
    "a record without =": (raw(typeflag=b"x", data=b"5 ab\n") + raw(), "a pax record that cannot be read: 5 ab"),
    "a record without length": (raw(typeflag=b"x", data=b"a=b\n") + raw(), "a pax record that cannot be read: a=b"),
    "records that are zeros": (raw(typeflag=b"x", data=bytes(100)) + raw(), "a pax record that cannot be read"),
    "a name of 5,000 bytes": (pax(("path", "n" * 5000)) + raw(), "a name of 5000 bytes: nnn"),
    "a link of 5,000 bytes": (raw(b"k", b"K", b"n" * 5000) + raw(), "a name of 5000 bytes: nnn"),
    "a zero in a name": (pax(("path", "a\0b")) + raw(), "a name of 3 bytes: a\\x00b"),
    "an unknown type": (raw(typeflag=b"Z"), "f: a member of type Z, which nobody defines"),
    "an extension of a gigabyte": (
        raw(typeflag=b"x", fields={124: b"10000000000"}),
        f"extension headers of 1073741824 bytes, more than the {MAX_EXTENSION} that are read",
    ),
    "a long name without end": (
        raw(typeflag=b"L", fields={124: b"00000001000"}),
        "the tar ends in the middle of an ext",
    ),
    "a device of letters": (raw(typeflag=b"3", fields={329: b"abc"}), "a tar header with device abc"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile(case: str) -> None:
    data, message = HOSTILE[case]
    assert failure(data).replace("\\x00", r"\u0000").startswith(message.replace("\\x00", r"\u0000"))


@pytest.mark.parametrize("typeflag", [b"g", b"x", b"L"])
def test_extensions_without_a_member_do_not_fill_the_memory(typeflag: bytes) -> None:
    # A compressed layer may hold gigabytes of them in a few megabytes.
    def endless() -> object:
        for number in range(300):
            if typeflag == b"L":
                yield raw(b"l", b"L", b"n" * 200_000)
            else:
                yield pax((f"k{number}", "v" * 200_000), typeflag=typeflag)

    tracemalloc.start()
    try:
        with pytest.raises(DockertoolsError, match="extension headers"):
            list(members(ChunkStream(endless())))  # type: ignore[arg-type]
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_many_members_with_extensions_are_read() -> None:
    data = b"".join(pax(("path", f"{number}" + "n" * 300)) + raw() for number in range(5000))
    assert len(read(data + bytes(1024))) == 5000


def test_random_bytes_are_no_tar() -> None:
    dice = random.Random(0)
    for _ in range(200):
        failure(dice.randbytes(dice.choice((10, 512, 2000))))


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
