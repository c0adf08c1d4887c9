"""A root file system tar of any origin as a layer: its bytes stay where they are."""

from pathlib import Path

from dockertools_py.derivations.attributes import Attributes
from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.formats.image_reader import file_compressor, read_layer
from dockertools_py.formats.members import Reader, SingleFile, read_range
from dockertools_py.formats.output import new_file
from dockertools_py.model.media_type import LAYER_OF_COMPRESSOR
from dockertools_py.model.references_graph import name_of
from dockertools_py.pack.decompression import decompress
from dockertools_py.pack.tar import BLOCK
from dockertools_py.pack.tar_reader import begins_as_tar
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
    file = given
    compressor = file_compressor(given)
    with given.open("rb") as opened:
        start = opened.read(BLOCK)
    if compressor == "none" and not begins_as_tar(start):
        what = f"begins with {shown(start[:8])}" if start else "is empty"
        raise DockertoolsError(
            f"addTarball: {given} is no tar, but {what}: give a root file system tar, as mkTarball makes one"
        )
    if compressor not in LAYER_OF_COMPRESSOR:
        file = attributes.out / "layer.tar"
        with new_file(file, in_place=True) as out:
            for chunk in decompress(read_range(given, 0, given.stat().st_size), compressor, str(given), zstd):
                out.write(chunk)
    try:
        layer, content = read_layer(Reader(SingleFile(file)), file.name, zstd)
    except DockertoolsError as error:
        raise DockertoolsError(f"addTarball: {error}") from error
    write_layers(attributes.out, [layer.named(f"tar: {name_of(str(given))}")])
    write_places(attributes.out, [content.places])
