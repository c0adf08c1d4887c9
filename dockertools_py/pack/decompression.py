"""Decompressing what others compressed: in bounded pieces, whatever the input claims."""

import bz2
import lzma
import subprocess
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from dockertools_py.errors import DockertoolsError, MissingProgramError, shown
from dockertools_py.pack.compression import feed
from dockertools_py.pack.verified import Buffer

PIECE = 1 << 20
"""At most so many bytes come out at once: a small input may claim to be terabytes."""

MAGIC_SIZE = 6
_MAGIC = {b"\x1f\x8b": "gz", b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zXZ\0": "xz", b"BZh": "bz2"}

LZMA_MEMORY = 256 << 20

FREE_SIZE = 8 << 30
MAX_RATIO = 200
"""More than FREE_SIZE plain bytes are made only of an input that is not smaller than this part of them.

Nobody's image comes near: programs and texts shrink to a third, a disk of zeros to a thousandth and less. That disk would
fill ours.
"""


def compressor_of(head: bytes) -> str:
    """`gz`, `zstd`, `xz`, `bz2` or `none`, by the first MAGIC_SIZE bytes."""
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), "none")


def decompress(chunks: Iterable[Buffer], compressor: str, what: str, zstd: str | None = None) -> Iterator[Buffer]:
    """The plain bytes of `chunks`, not more than MAX_RATIO allows.

    Raises DockertoolsError, with `what` in front if it is not empty, for damaged input, and for one that grows beyond that.
    """
    what = f"{what}: " if what else ""
    if compressor == "none":
        return iter(chunks)
    taken = _Counted(chunks)
    return _bounded(_decompressed(taken, compressor, what, zstd), taken, what)


class _Counted:
    """Chunks, and how many bytes of them were taken."""

    def __init__(self, chunks: Iterable[Buffer]) -> None:
        self._chunks, self.size = iter(chunks), 0

    def __iter__(self) -> Iterator[Buffer]:
        for chunk in self._chunks:
            self.size += len(chunk)
            yield chunk


def _bounded(plain: Iterable[Buffer], taken: _Counted, what: str) -> Iterator[Buffer]:
    made = 0
    for piece in plain:
        made += len(piece)
        if made > FREE_SIZE and made > MAX_RATIO * taken.size:
            raise DockertoolsError(
                f"{what}its {taken.size} bytes become more than {made}: over {FREE_SIZE} bytes no more than "
                f"{MAX_RATIO} times the compressed size is written"
            )
        yield piece


def _decompressed(chunks: Iterable[Buffer], compressor: str, what: str, zstd: str | None) -> Iterator[Buffer]:
    match compressor:
        case "gz":
            return _members(chunks, _Gzip, what)
        case "xz":
            return _members(chunks, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=LZMA_MEMORY), what)
        case "bz2":
            return _members(chunks, bz2.BZ2Decompressor, what)
        case "zstd":
            return _zstd(chunks, what, zstd)
    raise DockertoolsError(f"{what}compressed by {shown(compressor)}, which is not known here")


class _Decompressor(Protocol):
    """What lzma and bz2 offer; `_Gzip` is zlib in this shape."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: Any, max_length: int) -> bytes: ...


class _Gzip:
    def __init__(self) -> None:
        self._inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)

    @property
    def eof(self) -> bool:
        return self._inflater.eof

    @property
    def needs_input(self) -> bool:
        return not self._inflater.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._inflater.unused_data

    def decompress(self, data: Any, max_length: int) -> bytes:
        tail = self._inflater.unconsumed_tail
        return self._inflater.decompress(tail + data if tail else data, max_length)


def _members(chunks: Iterable[Buffer], new: Any, what: str) -> Iterator[Buffer]:
    """One compressed stream after the other, until the input ends; zeros after the last one are padding."""
    current: _Decompressor | None = new()
    fresh = True  # nothing of the current member was read yet
    try:
        for chunk in chunks:
            data: Buffer = chunk
            while True:
                if current is None:
                    data = bytes(data).lstrip(b"\0")
                    if not data:
                        break
                    current, fresh = new(), True
                fresh = fresh and not data
                piece = current.decompress(data, PIECE)
                if piece:
                    yield piece
                data = b""
                if current.eof:
                    data, current = current.unused_data, None
                    continue
                if current.needs_input:
                    break
    except (zlib.error, lzma.LZMAError, EOFError, OSError) as error:
        raise DockertoolsError(f"{what}damaged: {shown(error)}") from error
    if current is not None and not fresh:
        raise DockertoolsError(f"{what}damaged: its compressed data ends too early")


def _zstd(chunks: Iterable[Buffer], what: str, program: str | None) -> Iterator[Buffer]:
    try:
        from compression import zstd  # type: ignore[import-not-found, unused-ignore]  # noqa: PLC0415  (3.14)
    except ImportError:
        yield from _zstd_program(chunks, what, program)
        return
    try:
        yield from _members(chunks, zstd.ZstdDecompressor, what)
    except zstd.ZstdError as error:
        raise DockertoolsError(f"{what}damaged: {shown(error)}") from error


def _zstd_program(chunks: Iterable[Buffer], what: str, program: str | None) -> Iterator[Buffer]:
    if program is None:
        raise MissingProgramError(
            f"{what}compressed by zstd, which this Python cannot read (3.14 can): "
            "give the program: `zstd` in Nix; by hand one on PATH, or --zstd"
        )
    arguments = [program, "--decompress", "--quiet", "--stdout", "--memory=128MB", "-"]
    with (
        subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process,
        ThreadPoolExecutor(max_workers=1) as pool,
    ):
        assert process.stdin
        assert process.stdout
        assert process.stderr
        try:
            feeding = pool.submit(feed, chunks, process.stdin)
            while data := process.stdout.read(PIECE):
                yield data
            said = process.stderr.read(1000)
            feeding.result()
        except BrokenPipeError:
            said = process.stderr.read(1000)
        except BaseException:
            process.kill()  # or the feeding thread would wait for ever
            raise
    if process.returncode:
        raise DockertoolsError(f"{what}damaged: {shown(said)}")
