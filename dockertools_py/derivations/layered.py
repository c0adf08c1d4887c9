"""A flat root file system tar cut into layers by store path."""

from pathlib import Path

from dockertools_py.derivations.attributes import Attributes
from dockertools_py.derivations.stored_layer import places, write_layer
from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.formats.image_reader import file_compressor
from dockertools_py.formats.members import read_range
from dockertools_py.formats.output import new_file
from dockertools_py.model.references_graph import name_of
from dockertools_py.pack.decompression import decompress
from dockertools_py.pack.layer import PathsSource, created_by
from dockertools_py.pack.store_split import members, split
from dockertools_py.pack.tar import BLOCK
from dockertools_py.pack.tar_reader import begins_as_tar
from dockertools_py.store.description import write_layers, write_places
from dockertools_py.store.open_tree import OpenTree
from dockertools_py.store.opened_layer import OpenedTar


def build(attributes: Attributes) -> None:
    """Spec: `tarball` (a file), `budget` (layers at the most), `normalise`, `zstd`."""
    spec = attributes.spec
    given = Path(spec["tarball"])
    if not given.is_file():
        raise DockertoolsError(f"toLayered: `tarball` is {given}, not a file: give a root file system tar")
    try:
        file = _plain(given, attributes.build_top, spec["zstd"])
        opened = OpenTree([OpenedTar(file, 0, file.stat().st_size, str(given))], [str(given)])
        tree = opened.tree
        attributes.out.mkdir()
        parts = split(tree, spec["budget"])
        layers = []
        for number, part in enumerate(parts):
            paths = part.store_paths()
            by = created_by(PathsSource(paths)) if paths else f"tar: {name_of(str(given))}"
            chunks = opened.tar(members(part, parts, tree, normalise=spec["normalise"]))
            layers.append(write_layer(attributes.out / f"{number}.tar", chunks, paths, by))
    except DockertoolsError as error:
        raise DockertoolsError(f"toLayered: `tarball`: {error}") from error
    write_layers(attributes.out, layers)
    write_places(attributes.out, [places(members(parts[-1], parts, tree, normalise=False))])


def _plain(given: Path, folder: Path, zstd: str | None) -> Path:
    """The tar without its compression, in `folder` if it has one."""
    compressor = file_compressor(given)
    file = given
    if compressor != "none":
        file = folder / "plain.tar"
        with new_file(file, in_place=True) as out:
            for chunk in decompress(read_range(given, 0, given.stat().st_size), compressor, str(given), zstd):
                out.write(chunk)
    with file.open("rb") as opened:
        start = opened.read(BLOCK)
    if not begins_as_tar(start):
        what = f"begins with {shown(start[:8])}" if start else "is empty"
        raise DockertoolsError(f"{given} is no tar, but {what}: give a root file system tar")
    return file
