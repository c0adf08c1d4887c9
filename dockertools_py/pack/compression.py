"""Compressing layers on all cores, with bytes that depend on content and level alone.

gzip. A deflate stream is sequential, but it may be cut: each block of BLOCK_SIZE bytes is deflated by itself, primed with
the WINDOW bytes before it as dictionary, and ends on a byte boundary (sync flush). Joined they are one valid deflate
stream in one gzip member (RFC 1952), hardly larger than a sequential one. The cuts depend on the content's length, never
on the number of workers, which only decides how many blocks are in the making at once. zlib lets other threads run
while it works, so threads are enough; a single worker is the caller's own one. A block in which deflate finds nothing (it was
compressed before) is stored as it is, whatever the level: to see that takes 1.5 ms, deflate would take 11.

zstd. Python 3.14 has it; before that a given `zstd` program does it, with as fixed parameters.
"""

import struct
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from typing import IO, TYPE_CHECKING

from dockertools_py.errors import DockertoolsError

if TYPE_CHECKING:
    from concurrent.futures import Future

BLOCK_SIZE = 512 << 10
WINDOW = 32 << 10
GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
"""No flags, no name, mtime 0, no level hint, operating system unknown: nothing of the machine is in it."""

MAX_STORED = 0xFFFF
"""Bytes of a stored block of deflate (RFC 1951, 3.2.4)."""
PROBE, PROBES = 16 << 10, 4
"""Bytes of a block that are deflated to see whether it pays, and how often."""
EVEN_VALUES, EVEN_BYTES = 230, 1 << 10
"""Of so many bytes at random 251 values are expected, and of a program's less than 200: most blocks need no probe."""
WORTH = 0.98
"""What is hardly smaller than this part of itself is not worth to be uncompressed by everybody who pulls it."""

GZIP_LEVELS = range(1, 10)
DEFAULT_GZIP_LEVEL = 2
"""Measured on the store paths of python, perl, nix and redis, a core, zlib 1.2.13: level 1 makes 105 MB/s and 37.3 % of the
size, 2 96 MB/s and 36.5 %, 3 71 and 35.9 %, 4 68 and 34.8 %, 6 31 and 33.9 %. So 2 is the last one before time grows faster
than size shrinks, and what Go's programs make of layers (skopeo: 36.1 %) takes as long."""
ZSTD_LEVELS = range(1, 20)
DEFAULT_ZSTD_LEVEL = 3

COMPRESSORS = ("none", "gz", "zstd")


def check_level(compressor: str, level: int | None) -> int:
    """The level to use: `level` itself when it is one of the compressor's, its default for None."""
    levels, default = (ZSTD_LEVELS, DEFAULT_ZSTD_LEVEL) if compressor == "zstd" else (GZIP_LEVELS, DEFAULT_GZIP_LEVEL)
    if level is None:
        return default
    if level not in levels:
        raise DockertoolsError(f"compressionLevel is {level}: {compressor} has {levels.start} to {levels.stop - 1}")
    return level


def compress(
    chunks: Iterable[bytes | memoryview], compressor: str, *, level: int, workers: int, zstd: str | None = None
) -> Iterator[bytes]:
    """The compressed bytes of `chunks`; `zstd` is the program to use where Python has none of its own."""
    if compressor == "gz":
        return gzip(chunks, level=level, workers=workers)
    if compressor == "zstd":
        return _zstd(chunks, level, workers, zstd)
    return (bytes(chunk) for chunk in chunks)


def gzip(chunks: Iterable[bytes | memoryview], *, level: int, workers: int) -> Iterator[bytes]:
    """One gzip member. At most 2 blocks a worker are in memory."""
    yield GZIP_HEADER
    crc = size = 0

    def blocks() -> Iterator[_Block]:
        nonlocal crc, size
        window = bytearray()
        for block, is_last in _blocks(chunks):
            crc = zlib.crc32(block, crc)
            size += len(block)
            yield block, window, level, is_last
            window = block[-WINDOW:]

    yield from _deflated(blocks(), workers) if workers > 1 else (_deflate(*block) for block in blocks())
    yield struct.pack("<II", crc, size & 0xFFFFFFFF)


_Block = tuple[bytearray, bytearray, int, bool]
"""A block, what is before it, the level, and whether it is the last one."""


def _deflated(blocks: Iterable[_Block], workers: int) -> Iterator[bytes]:
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - 2 ms, and most builds compress nothing

    with ThreadPoolExecutor(max_workers=workers) as pool:
        pending: deque[Future[bytes]] = deque()
        for block in blocks:
            pending.append(pool.submit(_deflate, *block))
            if len(pending) > 2 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _deflate(block: bytearray, window: bytearray, level: int, is_last: bool) -> bytes:
    if _is_dense(block):
        return _stored(block, is_last)
    if window:
        deflater = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS, 8, zlib.Z_DEFAULT_STRATEGY, window)
    else:
        deflater = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS, 8, zlib.Z_DEFAULT_STRATEGY)
    return deflater.compress(block) + deflater.flush(zlib.Z_FINISH if is_last else zlib.Z_SYNC_FLUSH)


def _is_dense(block: bytearray) -> bool:
    """Whether deflate would find nothing in a block: where its bytes are spread evenly, parts of it are tried."""
    starts = range(0, len(block) - PROBE + 1, max(1, (len(block) - PROBE) // (PROBES - 1)))
    if len(starts) < PROBES or any(len(set(block[at : at + EVEN_BYTES])) < EVEN_VALUES for at in starts):
        return False
    parts = b"".join(block[at : at + PROBE] for at in starts)
    return len(zlib.compress(parts, 1)) > WORTH * len(parts)


def _stored(block: bytearray, is_last: bool) -> bytes:
    """A block as stored blocks of deflate; it begins and ends on byte boundaries as all of ours do."""
    parts: list[bytes | bytearray] = []
    for at in range(0, len(block), MAX_STORED):
        part = block[at : at + MAX_STORED]
        is_final = is_last and at + MAX_STORED >= len(block)
        parts += [struct.pack("<BHH", is_final, len(part), len(part) ^ MAX_STORED), part]
    return b"".join(parts)


def _blocks(chunks: Iterable[bytes | memoryview]) -> Iterator[tuple[bytearray, bool]]:
    """(block, is it the last) of BLOCK_SIZE bytes each but for the last, which may be shorter or empty.

    A block is filled in place and handed over, so that each byte is copied once.
    """
    block, filled = bytearray(BLOCK_SIZE), 0
    for chunk in chunks:
        rest = memoryview(chunk)
        while rest:
            if filled == BLOCK_SIZE:  # only now is it known not to be the last
                yield block, False
                block, filled = bytearray(BLOCK_SIZE), 0
            part = rest[: BLOCK_SIZE - filled]
            block[filled : filled + len(part)] = part
            filled += len(part)
            rest = rest[len(part) :]
    yield block[:filled], True


def _zstd(chunks: Iterable[bytes | memoryview], level: int, workers: int, program: str | None) -> Iterator[bytes]:
    try:
        from compression import zstd  # type: ignore[import-not-found, unused-ignore]  # noqa: PLC0415  (3.14)
    except ImportError:
        yield from _zstd_program(chunks, level, workers, program)
        return
    # nb_workers 0 and more than 0 make different bytes, 1 and 2 the same ones: so never 0.
    options = {
        zstd.CompressionParameter.compression_level: level,
        zstd.CompressionParameter.nb_workers: max(1, workers),
        zstd.CompressionParameter.checksum_flag: 1,
    }
    compressor = zstd.ZstdCompressor(options=options)
    for chunk in chunks:
        if data := compressor.compress(chunk):
            yield data
    yield compressor.flush()


def _zstd_program(
    chunks: Iterable[bytes | memoryview], level: int, workers: int, program: str | None
) -> Iterator[bytes]:
    if program is None:
        raise DockertoolsError(
            "compressor zstd: this Python has no zstd of its own (3.14 has); "
            "give the program: `zstd` in Nix; by hand one on PATH, or --zstd"
        )
    import subprocess  # noqa: PLC0415
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    arguments = [program, f"-{level}", f"-T{max(1, workers)}", "--check", "--quiet", "--stdout", "-"]
    with (
        subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process,
        ThreadPoolExecutor(max_workers=1) as pool,
    ):
        assert process.stdin
        assert process.stdout
        try:
            feeding = pool.submit(feed, chunks, process.stdin)
            while data := process.stdout.read(1 << 20):
                yield data
            feeding.result()
            is_fed = True
        except BrokenPipeError:
            is_fed = False  # the program has ended before its input; its code says more
        except BaseException:
            process.kill()  # or the feeding thread would wait for ever
            raise
    if process.returncode or not is_fed:
        raise DockertoolsError(f"compressor zstd: {program} ended with code {process.returncode}")


def feed(chunks: Iterable[bytes | memoryview], stdin: IO[bytes]) -> None:
    """Write `chunks` to a program's standard input and close it; to be run in a thread of its own."""
    with stdin:
        for chunk in chunks:
            stdin.write(chunk)
