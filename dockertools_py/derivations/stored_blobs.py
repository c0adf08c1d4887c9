"""Blobs that lie in files of their own, read as the image that they are: what pulling leaves."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dockertools_py.formats.image_reader import read_image_and_places
from dockertools_py.formats.members import Reader
from dockertools_py.formats.stored_images import StoredImage
from dockertools_py.model.digest import Digest
from dockertools_py.model.entry import Entry
from dockertools_py.pack.bundle import blob_name
from dockertools_py.pack.image import Image


@dataclass(slots=True)
class StoredBlobs:
    """See formats.members.Members: blobs by the name that they have in a layout, wherever their files are."""

    what: str
    files: Mapping[Digest, Path]

    def names(self) -> Iterable[str]:
        """All blobs."""
        return map(blob_name, self.files)

    def range(self, name: str) -> tuple[Path, int, int] | None:
        """The whole file."""
        path = next((path for digest, path in self.files.items() if blob_name(digest) == name), None)
        return None if path is None else (path, 0, path.stat().st_size)


def read_stored(
    what: str, config: Digest, layers: Sequence[Digest], files: Mapping[Digest, Path], zstd: str | None
) -> tuple[Image, tuple[tuple[Entry, ...], ...]]:
    """The image of a config and layers, and for each layer its entries outside the store.

    Every digest and diff_id is compared. Raises DockertoolsError.
    """
    stored = StoredImage((), blob_name(config), tuple(map(blob_name, layers)))
    return read_image_and_places(Reader(StoredBlobs(what, files)), stored, zstd)
