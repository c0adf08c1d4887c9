"""A root file system tar of any origin as a layer: its bytes stay where they are."""

from pathlib import Path

from dockertools_py.derivations.attributes import Attributes
from dockertools_py.errors import DockertoolsError
from dockertools_py.formats.image_reader import file_compressor, read_layer
from dockertools_py.formats.members import Reader, SingleFile, why_no_tar
from dockertools_py.formats.uncompressed import uncompressed
from dockertools_py.model.media_type import LAYER_OF_COMPRESSOR
from dockertools_py.model.references_graph import name_of
from dockertools_py.store.description import write_layers, write_places


def build(attributes: Attributes) -> None:
    """Spec: `tarball` (a file), `zstd`. A tar compressed so that no engine reads it is stored uncompressed."""
    given = Path(attributes.spec["tarball"])
    zstd = attributes.spec["zstd"]
    if not given.is_file():
        raise DockertoolsError(
            f"addTarball: {given} is not a file: give a root file system tar, as mkTarball makes one"
        )
    attributes.out.mkdir()
    if file_compressor(given) == "none" and (what := why_no_tar(given)):
        raise DockertoolsError(
            f"addTarball: {given} is no tar, but {what}: give a root file system tar, as mkTarball makes one"
        )
    file = uncompressed(given, attributes.out / "layer.tar", zstd, keep=tuple(LAYER_OF_COMPRESSOR))
    try:
        layer, content = read_layer(Reader(SingleFile(file)), file.name, zstd)
    except DockertoolsError as error:
        raise DockertoolsError(f"addTarball: {error}") from error
    write_layers(attributes.out, [layer.named(f"tar: {name_of(str(given))}")])
    write_places(attributes.out, [content.places])
