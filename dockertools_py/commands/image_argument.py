"""The image that a verb is given: a description that Nix built, or an archive or a layout of any origin."""

from pathlib import Path

from dockertools_py.errors import DockertoolsError
from dockertools_py.formats.image_reader import choose, read_image, stored_images
from dockertools_py.formats.members import Reader
from dockertools_py.model.reference import Reference, parse_all
from dockertools_py.pack.bundle import NamedImage
from dockertools_py.store import description


def open_image(path: Path, choice: str | None = None, zstd: str | None = None) -> NamedImage:
    """The image at `path`; `choice` is NAME:TAG where it holds several. Raises DockertoolsError when there is none."""
    if not path.exists():
        raise DockertoolsError(f"{path}: no such file or directory")
    if path.is_dir() and description.is_image(path):
        return NamedImage(description.read_image(path), ())
    reader = Reader.open(path)
    wanted = Reference.parse(choice) if choice else None
    name, tag = (wanted.name, wanted.tag) if wanted else (None, None)
    stored = choose(stored_images(reader), name, tag, str(path))
    return NamedImage(read_image(reader, stored, zstd), parse_all(stored.names))
