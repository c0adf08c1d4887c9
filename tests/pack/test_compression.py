"""Compressed layers: valid for other programs, and the same bytes whatever the cores and the cuts of the input."""

import gzip as stdlib_gzip
import random
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterable

import pytest

from dockertools_py.errors import DockertoolsError
from dockertools_py.pack.compression import (
    BLOCK_SIZE,
    DEFAULT_GZIP_LEVEL,
    DEFAULT_ZSTD_LEVEL,
    GZIP_HEADER,
    WINDOW,
    check_level,
    compress,
    gzip,
)
from tests.oracle.programs import need

WORDS = [bytes(random.Random(n).randrange(97, 123) for _ in range(n % 9 + 2)) for n in range(500)]


def text(size: int, seed: int = 0) -> bytes:
    """Bytes that compress about as well as programs do."""
    dice = random.Random(seed)
    words: list[bytes] = []
    length = 0
    while length < size:
        words.append(dice.choice(WORDS) if dice.random() < 0.9 else dice.randbytes(6))
        length += len(words[-1]) + 1
    return b" ".join(words)[:size].ljust(size, b".")


TEXT = text(3 * BLOCK_SIZE + 12_345)


def squeezed(data: bytes | Iterable[bytes], level: int = 6, workers: int = 2) -> bytes:
    return b"".join(gzip([data] if isinstance(data, bytes) else data, level=level, workers=workers))


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


SIZES = [0, 1, WINDOW, BLOCK_SIZE - 1, BLOCK_SIZE, BLOCK_SIZE + 1, 2 * BLOCK_SIZE, 2 * BLOCK_SIZE + WINDOW]


@pytest.mark.parametrize("size", SIZES)
def test_one_valid_member(size: int) -> None:
    data = TEXT[:size]
    made = squeezed(data)
    inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
    assert inflater.decompress(made) == data
    assert inflater.eof
    assert inflater.unused_data == b""
    assert stdlib_gzip.decompress(made) == data


def as_the_docstring_says(data: bytes, level: int) -> bytes:
    """The rule of the module, with all in memory: blocks of one size, each primed with what is before it."""
    made = GZIP_HEADER
    blocks = [data[at : at + BLOCK_SIZE] for at in range(0, len(data), BLOCK_SIZE)] or [b""]
    for number, block in enumerate(blocks):
        before = data[: number * BLOCK_SIZE][-WINDOW:]
        dictionary = [before] if before else []
        deflater = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS, 8, zlib.Z_DEFAULT_STRATEGY, *dictionary)
        made += deflater.compress(block)
        made += deflater.flush(zlib.Z_FINISH if number == len(blocks) - 1 else zlib.Z_SYNC_FLUSH)
    return made + zlib.crc32(data).to_bytes(4, "little") + len(data).to_bytes(4, "little")


@pytest.mark.parametrize("size", [*SIZES, len(TEXT)])
def test_the_bytes_follow_from_the_rule(size: int) -> None:
    assert squeezed(TEXT[:size]) == as_the_docstring_says(TEXT[:size], 6)


@pytest.mark.parametrize("program", [["gzip", "-dc"], ["zcat"]])
def test_valid_for_other_programs(program: list[str]) -> None:
    made = squeezed(TEXT)
    done = subprocess.run([need(program[0]), *program[1:]], input=made, capture_output=True, check=True)
    assert done.stdout == TEXT
    assert subprocess.run([need("gzip"), "-t"], input=made, capture_output=True, check=True).stderr == b""


def test_nothing_of_the_machine_is_in_the_header() -> None:
    assert squeezed(b"x")[:10] == GZIP_HEADER == bytes.fromhex("1f8b08000000000000ff")


def test_the_number_of_workers_changes_no_byte() -> None:
    made = squeezed(TEXT, workers=1)
    assert squeezed(TEXT, workers=2) == made
    assert squeezed(TEXT, workers=7) == made
    assert squeezed(TEXT, workers=0) == made


def test_the_cuts_of_the_input_change_no_byte() -> None:
    made = squeezed(TEXT)
    for size in (7_777, BLOCK_SIZE - 1, BLOCK_SIZE + 1):
        assert squeezed(pieces(TEXT, size)) == made
    assert squeezed([b"", TEXT[:10], b"", b"", TEXT[10:], b""]) == made


def test_a_view_may_be_used_again_by_who_gave_it() -> None:
    buffer = bytearray(1 << 16)

    def reused() -> Iterable[memoryview]:
        for piece in pieces(TEXT, len(buffer)):
            buffer[: len(piece)] = piece
            yield memoryview(buffer)[: len(piece)]

    assert stdlib_gzip.decompress(b"".join(gzip(reused(), level=1, workers=4))) == TEXT


@pytest.mark.parametrize("level", [1, 6, 9])
def test_levels_make_different_bytes_of_the_same_content(level: int) -> None:
    made = squeezed(TEXT, level)
    assert stdlib_gzip.decompress(made) == TEXT
    assert (made == squeezed(TEXT, 6)) == (level == 6)


def test_hardly_larger_than_gzip_makes_it() -> None:
    data = text(4 * BLOCK_SIZE, 1)
    theirs = subprocess.run([need("gzip"), "-6", "-n"], input=data, capture_output=True, check=True).stdout
    assert len(squeezed(data)) < 1.01 * len(theirs)


RANDOM = random.Random(7).randbytes(2 * BLOCK_SIZE + 99_999)
EVEN = bytes(range(256)) * (BLOCK_SIZE // 256)
FLOATS = b"".join(
    struct.pack("<f", value)
    for value in map(random.Random(8).gauss, [0.0] * (BLOCK_SIZE // 4), [1.0] * (BLOCK_SIZE // 4))
)


@pytest.mark.parametrize("level", [1, 6, 9])
def test_blocks_in_which_deflate_finds_nothing_are_stored(level: int) -> None:
    made = squeezed(RANDOM, level)
    assert stdlib_gzip.decompress(made) == RANDOM
    assert RANDOM[:0xFFFF] in made
    assert len(made) < 1.0002 * len(RANDOM)
    assert squeezed(pieces(RANDOM, 7_777), level, workers=7) == made
    done = subprocess.run([need("gzip"), "-dc"], input=made, capture_output=True, check=True)
    assert done.stdout == RANDOM


@pytest.mark.parametrize("size", [1, 2])
def test_stored_blocks_between_others(size: int) -> None:
    # The last one is stored, and is not; what follows a stored block is primed with it.
    dense = RANDOM[: size * BLOCK_SIZE]
    for data in (dense, TEXT[:BLOCK_SIZE] + dense, dense + TEXT, TEXT[:BLOCK_SIZE] + dense + TEXT[:99]):
        assert stdlib_gzip.decompress(squeezed(data)) == data
    again = dense[-WINDOW // 2 :]
    assert len(squeezed(dense + again)) < len(squeezed(dense)) + len(again) // 50


@pytest.mark.parametrize(("data", "part"), [(EVEN, 0.01), (FLOATS, 0.95), (RANDOM[: 20 << 10] * 26, 0.1)])
def test_bytes_that_look_random_and_are_not_are_deflated(data: bytes, part: float) -> None:
    assert len(squeezed(data[:BLOCK_SIZE])) < part * BLOCK_SIZE


def test_small_contents_are_deflated_always() -> None:
    assert squeezed(RANDOM[:1000]) == as_the_docstring_says(RANDOM[:1000], 6)


def test_an_error_of_the_input_is_passed_on() -> None:
    def failing() -> Iterable[bytes]:
        yield TEXT
        raise DockertoolsError("the disk is gone")

    for compressor, zstd in (("gz", None), ("zstd", need("zstd")), ("none", None)):
        with pytest.raises(DockertoolsError, match=r"^the disk is gone$"):
            list(compress(failing(), compressor, level=3, workers=2, zstd=zstd))


def test_who_stops_reading_leaves_nothing_behind() -> None:
    for compressor, zstd in (("gz", None), ("zstd", need("zstd"))):
        stream = compress(iter(lambda: TEXT, None), compressor, level=1, workers=2, zstd=zstd)
        assert next(iter(stream))
        stream.close()  # type: ignore[attr-defined]


def test_zstd_by_the_program() -> None:
    made = b"".join(compress(pieces(TEXT, 99_999), "zstd", level=3, workers=2, zstd=need("zstd")))
    assert subprocess.run([need("zstd"), "-dc"], input=made, capture_output=True, check=True).stdout == TEXT
    for workers in (1, 7):
        assert b"".join(compress([TEXT], "zstd", level=3, workers=workers, zstd=need("zstd"))) == made


def test_zstd_of_nothing() -> None:
    made = b"".join(compress([], "zstd", level=3, workers=2, zstd=need("zstd")))
    assert subprocess.run([need("zstd"), "-dc"], input=made, capture_output=True, check=True).stdout == b""


def test_zstd_without_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "compression", None)  # as Python before 3.14 has it
    with pytest.raises(
        DockertoolsError, match=r"^compressor zstd: this Python has no zstd of its own \(3.14 has\); give"
    ):
        list(compress([b"x"], "zstd", level=3, workers=1))


def test_a_zstd_program_that_fails_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    # It ends without reading: what is fed to it meets a closed pipe, which is not the reader of our own output.
    monkeypatch.setitem(sys.modules, "compression", None)  # as Python before 3.14 has it
    program = need("false")
    with pytest.raises(DockertoolsError, match=rf"^compressor zstd: {program} ended with code 1$"):
        list(compress(pieces(TEXT, 100_000), "zstd", level=3, workers=1, zstd=program))


def test_none_is_the_input() -> None:
    assert b"".join(compress([b"a", memoryview(b"bc")], "none", level=6, workers=1)) == b"abc"


@pytest.mark.parametrize(
    ("compressor", "level", "expected"),
    [
        ("gz", None, DEFAULT_GZIP_LEVEL),
        ("gz", 1, 1),
        ("gz", 9, 9),
        ("zstd", None, DEFAULT_ZSTD_LEVEL),
        ("zstd", 19, 19),
        ("none", None, DEFAULT_GZIP_LEVEL),
    ],
)
def test_levels(compressor: str, level: int | None, expected: int) -> None:
    assert check_level(compressor, level) == expected


@pytest.mark.parametrize(
    ("compressor", "level", "message"),
    [
        ("gz", 0, "compressionLevel is 0: gz has 1 to 9"),
        ("gz", 10, "compressionLevel is 10: gz has 1 to 9"),
        ("zstd", 20, "compressionLevel is 20: zstd has 1 to 19"),
    ],
)
def test_levels_that_are_none(compressor: str, level: int, message: str) -> None:
    with pytest.raises(DockertoolsError, match=f"^{message}$"):
        check_level(compressor, level)
