"""An image file of any origin, read once for all its children: its digests are checked, its store paths known."""

from pathlib import Path

from dockertools_py.derivations.attributes import Attributes
from dockertools_py.errors import DockertoolsError
from dockertools_py.formats.image_reader import read_image_and_places
from dockertools_py.formats.members import Reader
from dockertools_py.formats.stored_images import StoredImage, choose, image_of, list_images, stored_images
from dockertools_py.formats.uncompressed import uncompressed
from dockertools_py.model.platform import Platform
from dockertools_py.store.description import write_image, write_places


def build(attributes: Attributes) -> None:
    """Spec: `file`, `argument` (what the user calls it), `imageName`, `imageTag`, `platform`, `all`, `zstd`.

    An outer compression is taken off: the layers inside must be reached. With `all` every image in the file gets a
    folder of its own, `0`, `1` and so on.
    """
    spec, given = attributes.spec, Path(attributes.spec["file"])
    attributes.out.mkdir()
    try:
        reader = Reader.open(_plain(attributes, given), str(given))
        if not spec["all"]:
            platform = Platform.from_json(spec["platform"])
            name, tag, what = spec["imageName"], spec["imageTag"], str(given)
            one = choose(list_images(reader), what, name=name, tag=tag, platform=platform)
            # Of an index that has none for it, what Docker would take: whether that fits is for others to say.
            stored = one.image_for(platform) or one.default or image_of(one, what, lambda: platform)
            _write(attributes.out, reader, stored, spec["zstd"])
            return
        for number, stored in enumerate(stored_images(reader)):
            folder = attributes.out / str(number)
            folder.mkdir()
            _write(folder, reader, stored, spec["zstd"])
    except DockertoolsError as error:
        raise DockertoolsError(f"{spec['argument']}: {error}") from error


def _write(folder: Path, reader: Reader, stored: StoredImage, zstd: str | None) -> None:
    image, places = read_image_and_places(reader, stored, zstd)
    write_image(folder, image, stored.names)
    write_places(folder, places)


def _plain(attributes: Attributes, given: Path) -> Path:
    if given.is_dir():
        return given
    if not given.is_file():
        raise DockertoolsError(f"{given}: neither a file nor a directory")
    return uncompressed(given, attributes.out / "archive.tar", attributes.spec["zstd"])
