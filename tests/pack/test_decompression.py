"""Decompressing: what other programs made, and what is damaged or hostile."""

import bz2
import gzip
import lzma
import os
import resource
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from dockertools_py.errors import DockertoolsError
from dockertools_py.pack.decompression import PIECE, compressor_of, decompress
from tests.oracle.children import no_child_is_left
from tests.oracle.programs import CHECKOUT, need

DATA = b"".join(b"line %d of a text\n" % number for number in range(100_000))
COMPRESSORS = ("gz", "xz", "bz2", "zstd")


def squeezed(compressor: str, data: bytes = DATA) -> bytes:
    """One compressed stream, not by our code."""
    match compressor:
        case "gz":
            return gzip.compress(data, 1)
        case "xz":
            return lzma.compress(data, preset=0)
        case "bz2":
            return bz2.compress(data, 1)
    return subprocess.run([need("zstd"), "-1", "-c"], input=data, capture_output=True, check=True).stdout


def plain(data: bytes, compressor: str, cut: int = 1 << 20) -> bytes:
    zstd = need("zstd") if compressor == "zstd" else None
    chunks = [data[at : at + cut] for at in range(0, len(data), cut)]
    return b"".join(map(bytes, decompress(chunks, compressor, "layer.tar", zstd)))


@pytest.mark.parametrize("compressor", COMPRESSORS)
@pytest.mark.parametrize("cut", [997, 1 << 20])
def test_what_others_made(compressor: str, cut: int) -> None:
    assert plain(squeezed(compressor), compressor, cut) == DATA


@pytest.mark.parametrize("compressor", COMPRESSORS)
@pytest.mark.parametrize("cut", [1, 7, 1 << 20])
def test_several_members_are_one_content(compressor: str, cut: int) -> None:
    parts = [squeezed(compressor, part) for part in (b"one ", b"", b"two ", b"three")]
    assert plain(b"".join(parts), compressor, cut) == b"one two three"


@pytest.mark.parametrize("compressor", ["gz", "bz2", "xz"])
def test_zeros_at_the_end_are_padding(compressor: str) -> None:
    assert plain(squeezed(compressor, b"x") + bytes(3000), compressor, 1000) == b"x"


@pytest.mark.parametrize("compressor", COMPRESSORS)
def test_truncated_anywhere_is_damaged(compressor: str) -> None:
    whole = squeezed(compressor, DATA[:5000])
    lengths = sorted({1, 2, 5, 10, 18, len(whole) // 2, len(whole) - 9, len(whole) - 5, len(whole) - 4, len(whole) - 1})
    for length in lengths:
        with pytest.raises(DockertoolsError, match=r"^layer\.tar: damaged: "):
            plain(whole[:length], compressor)


@pytest.mark.parametrize("compressor", COMPRESSORS)
def test_a_second_member_that_is_truncated_is_damaged(compressor: str) -> None:
    first, second = squeezed(compressor, b"first"), squeezed(compressor, b"second")
    for length in (1, 5, len(second) - 1):
        with pytest.raises(DockertoolsError, match=r"^layer\.tar: damaged: "):
            plain(first + second[:length], compressor)


@pytest.mark.parametrize("compressor", COMPRESSORS)
def test_garbage_after_the_end_is_damaged(compressor: str) -> None:
    for cut in (3, 1 << 20):
        with pytest.raises(DockertoolsError, match=r"^layer\.tar: damaged: "):
            plain(squeezed(compressor, b"x") + b"garbage that is not compressed", compressor, cut)


@pytest.mark.parametrize("compressor", COMPRESSORS)
def test_a_flipped_byte_is_damaged(compressor: str) -> None:
    whole = bytearray(squeezed(compressor, os.urandom(3000)))
    whole[len(whole) // 2] ^= 0x55
    with pytest.raises(DockertoolsError, match=r"^layer\.tar: damaged: "):
        plain(bytes(whole), compressor)


def test_pieces_are_bounded_however_small_the_input() -> None:
    bomb = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    data = b"".join(bomb.compress(bytes(1 << 20)) for _ in range(40)) + bomb.flush()
    sizes = [len(piece) for piece in decompress([data], "gz", "bomb")]
    assert sum(sizes) == 40 << 20
    assert max(sizes) <= PIECE


BOMBS = {
    "gz": "zlib.compressobj(9, zlib.DEFLATED, 31)",
    "xz": "lzma.LZMACompressor(preset=0)",
    "bz2": "bz2.BZ2Compressor(9)",
}
MEASURE = """
import bz2, lzma, resource, sys, zlib
from dockertools_py.pack.decompression import decompress
make = eval(sys.argv[2])
data = b"".join(make.compress(bytes(1 << 20)) for _ in range(100)) + make.flush()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
total = sum(len(piece) for piece in decompress([data], sys.argv[1], "bomb"))
print(total, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("compressor", BOMBS)
def test_a_bomb_takes_no_memory(compressor: str) -> None:
    command = [sys.executable, "-c", MEASURE, compressor, BOMBS[compressor]]
    done = subprocess.run(command, capture_output=True, text=True, cwd=CHECKOUT, check=True)
    total, grown = map(int, done.stdout.split())
    assert total == 100 << 20
    assert grown < 40 << 10  # KiB


def test_a_zstd_bomb_takes_no_memory_here() -> None:
    program = need("zstd")
    data = subprocess.run([program, "-c"], input=bytes(200 << 20), capture_output=True, check=True).stdout
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sizes = [len(piece) for piece in decompress([data], "zstd", "bomb", program)]
    assert (sum(sizes), max(sizes) <= PIECE) == (200 << 20, True)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40 << 10


def test_an_xz_that_wants_more_memory_than_it_gets() -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 512 << 20}]
    data = bytearray(lzma.compress(b"x" * 100, filters=filters))
    with pytest.raises(DockertoolsError, match=r"^layer\.tar: damaged: Memory usage limit"):
        plain(bytes(data), "xz")


def test_who_stops_reading_leaves_no_process_behind(tmp_path: Path) -> None:
    with no_child_is_left():
        stream = decompress([squeezed("zstd", bytes(64 << 20))], "zstd", "x", need("zstd"))
        next(stream)
        stream.close()  # type: ignore[attr-defined]


def test_zstd_without_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "compression", None)  # as Python before 3.14 has it
    with pytest.raises(DockertoolsError) as caught:
        list(decompress([b"x"], "zstd", "layer.tar"))
    assert str(caught.value) == (
        "layer.tar: compressed by zstd, which this Python cannot read (3.14 can): "
        "give the program: `zstd` in Nix; by hand one on PATH, or --zstd"
    )


def test_a_compressor_that_nobody_knows() -> None:
    with pytest.raises(DockertoolsError, match=r"^x: compressed by lzop, which is not known here$"):
        decompress([], "lzop", "x")


@pytest.mark.parametrize("compressor", COMPRESSORS)
def test_compressors_are_known_by_their_first_bytes(compressor: str) -> None:
    assert compressor_of(squeezed(compressor, b"x")[:6]) == compressor


@pytest.mark.parametrize("head", [b"", b"\x1f", b"BZ", b"nix/st", b"PK\3\4", bytes(6)])
def test_anything_else_is_not_compressed(head: bytes) -> None:
    assert compressor_of(head) == "none"


@pytest.mark.parametrize("compressor", COMPRESSORS)
def test_a_disk_of_zeros_is_refused(compressor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dockertools_py.pack.decompression.FREE_SIZE", 2 << 20)
    zeros = squeezed(compressor, bytes(3 << 20))
    with pytest.raises(
        DockertoolsError, match=f"^layer.tar: its {len(zeros)} bytes become more than 3145728: over 2097152"
    ):
        plain(zeros, compressor)
    assert plain(squeezed(compressor, bytes(1 << 20)), compressor) == bytes(1 << 20)
    # What is compressed as programs and texts are is not bounded.
    monkeypatch.setattr("dockertools_py.pack.decompression.FREE_SIZE", 1)
    assert plain(squeezed(compressor), compressor) == DATA
