"""What `archive`, `layout` and `stream` have in common: compressing, and the bundle that they write."""

import argparse
import os
import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from dockertools_py.commands.progress import Progress
from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.formats.archive import Produce
from dockertools_py.model.digest import Digest
from dockertools_py.pack.bundle import Bundle, NamedImage, bundle
from dockertools_py.pack.compression import COMPRESSORS, check_level
from dockertools_py.pack.layer import BlobSource, Layer
from dockertools_py.pack.verified import Buffer
from dockertools_py.store.compressed import Compression, compress_layers
from dockertools_py.store.produce import layer_chunks


def add_compressor(result: argparse.ArgumentParser) -> None:
    """The arguments of those that store what they write."""
    result.add_argument(
        "--compressor", choices=COMPRESSORS, default="none", help="for layers that are not compressed yet"
    )
    result.add_argument("--level", type=int, help="of compression: 1 to 9 for gz, 1 to 19 for zstd")


def compressed(named: NamedImage, options: argparse.Namespace, folder: Path, cores: int) -> dict[Digest, BlobSource]:
    """The layers that are not compressed yet, compressed into files in `folder`."""
    how = Compression(options.compressor, check_level(options.compressor, options.level), options.zstd)
    return compress_layers(named.image.layers, folder, how, cores)


def folder_of(output: Path) -> Path:
    """Where `output` will be. Raises DockertoolsError when that is no directory."""
    folder = output.absolute().parent
    if not folder.is_dir():
        raise DockertoolsError(f"{shown(output)}: {shown(folder)} is no directory")
    return folder


@contextmanager
def folder_beside(output: Path) -> Iterator[Path]:
    """A folder for files on their way to `output`, of which nothing stays. Raises DockertoolsError as `folder_of`.

    Threads that nobody waits for any more may be writing files into it when it goes.
    """
    folder = folder_of(output) / f".dockertools-py.{os.urandom(8).hex()}"
    try:
        folder.mkdir(mode=0o700)
        yield folder
    finally:
        with _undisturbed(), suppress(FileNotFoundError):
            gone = folder.with_suffix(".gone")  # where nobody makes a further file
            folder.rename(gone)
            shutil.rmtree(gone)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """What would end the program meanwhile, does so afterwards."""
    came: list[int] = []
    ends = (signal.SIGINT, signal.SIGTERM)
    before = {end: signal.signal(end, lambda number, _: came.append(number)) for end in ends}
    try:
        yield
    finally:
        for end, handler in before.items():
            signal.signal(end, handler)
        for number in came[:1]:
            os.kill(os.getpid(), number)


def prepared(named: NamedImage, stored: Mapping[Digest, BlobSource], verb: str) -> tuple[Bundle, Produce, Progress]:
    """The bundle, what makes its layers while it counts them, and the progress to be ended."""
    whole = bundle([named], stored)
    total = sum(blob.descriptor.size for blob in whole.blobs if isinstance(blob.content, Layer))
    progress = Progress(verb, total)

    def produce(layer: Layer) -> Iterator[Buffer]:
        return progress.counted(layer_chunks(layer))

    return whole, produce, progress
