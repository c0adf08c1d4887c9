"""A flat root file system tar cut into layers by store path."""

from pathlib import Path

from dockertools_py.derivations.attributes import Attributes
from dockertools_py.derivations.stored_layer import places, write_layer
from dockertools_py.errors import DockertoolsError
from dockertools_py.formats.members import why_no_tar
from dockertools_py.formats.uncompressed import uncompressed
from dockertools_py.model.references_graph import name_of
from dockertools_py.pack.layer import PathsSource, created_by
from dockertools_py.pack.store_split import members, split
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
        file = uncompressed(given, attributes.build_top / "plain.tar", spec["zstd"])
        if what := why_no_tar(file):
            raise DockertoolsError(f"{given} is no tar, but {what}: give a root file system tar")
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
