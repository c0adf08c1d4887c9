"""A layer opened: its entries, and the content of any of them, in whatever order it is wanted.

A tar that is not compressed is read where it lies. A compressed one is uncompressed into a file first, and checked on the way.
The layers of store paths that we describe are never made a tar: their files are read from the store.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model.entry import Entry
from dockertools_py.model.media_type import OCI_LAYER
from dockertools_py.pack.layer import BlobSource, Layer, PathsSource, RootSource
from dockertools_py.pack.sparse import MAX_HOLES, Segment, filled
from dockertools_py.pack.tar_reader import FileStream, members
from dockertools_py.pack.verified import Buffer
from dockertools_py.store.produce import entries, layer_chunks

READ_SIZE = 1 << 20


class OpenedLayer(Protocol):
    """What is in a layer."""

    def members(self) -> Iterator[tuple[Entry, int]]:
        """Its entries in order, each with a number that is its own: where the content is. Raises DockertoolsError."""

    def content(self, entry: Entry, offset: int) -> Iterator[Buffer]:
        """The `entry.size` bytes of a file. Raises DockertoolsError when there are fewer."""


class OpenedTar:
    """A tar without compression: `size` bytes from `start` of a file."""

    def __init__(self, file: Path, start: int, size: int, what: str) -> None:
        self._file, self._start, self._size, self._what = file, start, size, what
        self._segments: dict[int, tuple[Segment, ...]] = {}
        self._holes = 0

    def members(self) -> Iterator[tuple[Entry, int]]:
        """See OpenedLayer."""
        with self._file.open("rb") as file:
            for member in members(FileStream(file, self._size, self._start)):
                if member.segments is not None:
                    self._segments[member.offset] = member.segments
                yield member.entry(), member.offset

    def content(self, entry: Entry, offset: int) -> Iterator[Buffer]:
        """See OpenedLayer. Raises DockertoolsError as well when the holes of sparse files were more than MAX_HOLES."""
        segments = self._segments.get(offset)
        if segments is None:
            return self._stored(entry, offset, entry.size)
        stored = sum(length for _, length in segments)
        self._holes += entry.size - stored
        if self._holes > MAX_HOLES:
            raise DockertoolsError(
                f"{self._what}: {shown(entry.name)}: a sparse file of {entry.size} bytes, of which {stored} are stored: "
                f"more than {MAX_HOLES} bytes of holes are not written"
            )
        return filled(self._stored(entry, offset, stored), entry.size, segments)

    def _stored(self, entry: Entry, offset: int, left: int) -> Iterator[Buffer]:
        at = self._start + offset
        # Not kept open: two images of hundreds of layers would need more descriptors than a process may have.
        fd = os.open(self._file, os.O_RDONLY | os.O_CLOEXEC)
        try:
            while left:
                data = os.pread(fd, min(left, READ_SIZE), at)
                if not data:
                    raise DockertoolsError(f"{self._what}: {shown(entry.name)} ends {left} bytes too early")
                at, left = at + len(data), left - len(data)
                yield data
        finally:
            os.close(fd)


class OpenedStorePaths:
    """Files of the store, as a source of ours puts them in a layer."""

    def __init__(self, source: PathsSource | RootSource) -> None:
        self._source = source

    def members(self) -> Iterator[tuple[Entry, int]]:
        """See OpenedLayer."""
        for number, entry in enumerate(entries(self._source)):
            # A whole path is found by its name: no need to remember it twice.
            yield entry._replace(path=b"") if entry.path == b"/" + entry.name else entry, number

    def content(self, entry: Entry, offset: int) -> Iterator[Buffer]:
        """See OpenedLayer."""
        path, left = entry.path or b"/" + entry.name, entry.size
        with open(path, "rb", buffering=0) as file:
            while left and (data := file.read(min(left, READ_SIZE))):
                left -= len(data)
                yield data
            if left or file.read(1):
                raise DockertoolsError(f"{shown(path)}: its size is not the {entry.size} bytes that it had")


def open_layer(layer: Layer, folder: Path, zstd: str | None = None) -> OpenedLayer:
    """Open a layer; what must be uncompressed goes to a file in `folder`, which is there. Raises DockertoolsError."""
    source = layer.source
    if not isinstance(source, BlobSource):
        return OpenedStorePaths(source)
    if source.media_type == OCI_LAYER:
        return OpenedTar(Path(source.file), source.offset, source.size, layer.label())
    file = folder / f"{layer.diff_id.hex}.tar"
    with file.open("xb") as out:
        for chunk in layer_chunks(layer, zstd):
            out.write(chunk)
    return OpenedTar(file, 0, layer.size, layer.label())
