"""The layer with Nix's database of all store paths in an image, and what Nix must not collect as garbage."""

from collections.abc import Iterator
from pathlib import Path

from dockertools_py.derivations.attributes import Attributes
from dockertools_py.derivations.stored_layer import write_layer
from dockertools_py.errors import DockertoolsError
from dockertools_py.model.entry import Entry, Kind
from dockertools_py.model.nar_hash import parse_nar_hash
from dockertools_py.model.references_graph import ReferencesGraph, store_path_of
from dockertools_py.model.whiteout import whiteout
from dockertools_py.pack.layer import Layer, shown_paths
from dockertools_py.pack.placing import place
from dockertools_py.pack.tar import with_parents
from dockertools_py.pack.tree import Tree
from dockertools_py.store.description import read_layers, read_places, write_layers, write_places
from dockertools_py.store.nix_database import SCHEMA, ValidPath, closed, read_database, write_database
from dockertools_py.store.open_tree import Opener
from dockertools_py.store.produce import same
from dockertools_py.store.tar_stream import tar_stream
from dockertools_py.store.walk import LINK_MODE

DATABASE = b"nix/var/nix/db/db.sqlite"
JOURNALS = (b"-wal", b"-shm")
"""Of a database that was open when its image was made. To another database they would do what was done to that one."""
GC_ROOTS = b"nix/var/nix/gcroots/docker/"
MAX_DATABASE = 1 << 30


def build(attributes: Attributes) -> None:
    """Spec: `stack` (descriptions of all layers below), `below` (those with entries outside the store), `roots`.

    Further `owner`, `mtime`, `zstd`. Graph: `closure` of all that the image has. Of it the paths that are in a layer are valid;
    of the paths of a base which Nix here does not know, those that the base's own database says.
    """
    spec = attributes.spec
    layers = [layer for folder in attributes.paths("stack") for layer in read_layers(folder)]
    graph = attributes.graphs.get("closure", ReferencesGraph({}))
    there = shown_paths(layers)
    rows = [_valid(graph, path) for path in sorted(there & graph.paths.keys())]
    tree, holder = _below(attributes)
    if holder is not None:
        known = {row.path for row in rows}
        others = (row for row in _of_base(attributes, holder) if row.path in there and row.path not in known)
        rows += closed(others, known)
    attributes.out.mkdir()
    file = attributes.build_top / "db.sqlite"
    write_database(file, rows, spec["mtime"])
    roots = sorted({store_path_of(root) for root in spec["roots"]} & there)
    placed = place(with_parents(_entries(attributes, file, roots, tree), attributes.owner()), tree, same)
    layer = write_layer(attributes.out / "layer.tar", tar_stream(placed), (), f"Nix database: {len(rows)} store paths")
    write_layers(attributes.out, [layer])
    write_places(attributes.out, [placed])


def _valid(graph: ReferencesGraph, path: str) -> ValidPath:
    node = graph.paths[path]
    references = (*node.references, path) if node.refers_to_itself else node.references
    return ValidPath(path, parse_nar_hash(node.nar_hash, path), node.nar_size, references, node.ca)


def _below(attributes: Attributes) -> tuple[Tree, Layer | None]:
    """What lies below outside the store, and the layer that has the database which shows."""
    tree = Tree()
    holders: list[Layer] = []
    for folder in attributes.paths("below"):
        layers = read_layers(folder)
        for number, places in read_places(folder):
            holders.append(layers[number])
            tree.apply((entry, 0) for entry in places)
    node = tree.get(DATABASE)
    return tree, None if node is None else holders[node.layer]


def _of_base(attributes: Attributes, holder: Layer) -> tuple[ValidPath, ...]:
    """What the database in a layer says."""
    opened = Opener(attributes.build_top / "layers", attributes.spec["zstd"]).open([holder])
    folder = attributes.build_top / "database"
    folder.mkdir()
    for suffix in (b"", *JOURNALS):
        node = opened.tree.get(DATABASE + suffix)
        if node is None or node.entry.kind is not Kind.FILE:
            continue
        if node.entry.size > MAX_DATABASE:
            raise DockertoolsError(f"{holder.label()}: its Nix database has {node.entry.size} bytes")
        with (folder / ("db.sqlite" + suffix.decode())).open("wb") as out:
            for data in opened.content(node):
                out.write(data)
    if not (folder / "db.sqlite").exists():
        raise DockertoolsError(f"{holder.label()}: its Nix database is no file")
    return read_database(folder / "db.sqlite", f"{holder.label()}: Nix database")


def _entries(attributes: Attributes, file: Path, roots: list[str], tree: Tree) -> Iterator[Entry]:
    owner, mtime = attributes.owner(), attributes.spec["mtime"]
    for suffix in sorted(JOURNALS):
        if tree.get(DATABASE + suffix) is not None:
            yield whiteout(DATABASE + suffix, mtime)
    yield Entry(DATABASE, Kind.FILE, 0o644, owner, mtime, file.stat().st_size, path=bytes(file))
    schema = SCHEMA.encode()
    yield Entry(b"nix/var/nix/db/schema", Kind.FILE, 0o644, owner, mtime, len(schema), data=schema)
    for root in roots:
        name = GC_ROOTS + root.rpartition("/")[2].encode()
        yield Entry(name, Kind.SYMLINK, LINK_MODE, owner, mtime, link=root.encode())
