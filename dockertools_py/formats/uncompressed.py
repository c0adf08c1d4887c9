"""A file that somebody gave us, without its outer compression, and whether it is a tar at all."""

from pathlib import Path

from dockertools_py.errors import shown
from dockertools_py.formats.image_reader import file_compressor
from dockertools_py.formats.members import read_range
from dockertools_py.formats.output import new_file
from dockertools_py.pack.decompression import decompress
from dockertools_py.pack.tar import BLOCK
from dockertools_py.pack.tar_reader import begins_as_tar


def uncompressed(given: Path, to: Path, zstd: str | None, *, keep: tuple[str, ...] = ("none",)) -> Path:
    """`given` itself where its compression is one to keep; otherwise `to`, which then has its plain bytes.

    Raises DockertoolsError for damaged input.
    """
    compressor = file_compressor(given)
    if compressor in keep:
        return given
    with new_file(to, in_place=True) as out:
        for chunk in decompress(read_range(given, 0, given.stat().st_size), compressor, str(given), zstd):
            out.write(chunk)
    return to


def why_no_tar(file: Path) -> str | None:
    """What an uncompressed file is instead of a tar, for an error; None when it begins as one."""
    with file.open("rb") as opened:
        start = opened.read(BLOCK)
    if begins_as_tar(start):
        return None
    return f"begins with {shown(start[:8])}" if start else "is empty"
