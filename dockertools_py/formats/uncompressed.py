"""A file that somebody gave us, without its outer compression."""

from pathlib import Path

from dockertools_py.formats.image_reader import file_compressor
from dockertools_py.formats.members import read_range
from dockertools_py.formats.output import new_file
from dockertools_py.pack.decompression import decompress


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
