"""The layer at `/`: links and copies of packages' files, what `extraCommands` does to them, and who owns them."""

from collections.abc import Iterable, Iterator

from dockertools_py.derivations.attributes import Attributes
from dockertools_py.derivations.bash import run_plain
from dockertools_py.formats.output import new_file
from dockertools_py.model.entry import Entry
from dockertools_py.pack.layer import BlobSource, Layer, RootSource, created_by
from dockertools_py.pack.placing import place
from dockertools_py.pack.tar import END
from dockertools_py.pack.tree import Tree
from dockertools_py.pack.verified import measure, written
from dockertools_py.store.describe import describe
from dockertools_py.store.description import read_places, write_layers, write_places
from dockertools_py.store.produce import entries, same
from dockertools_py.store.scratch import lay_out, scratch_entries
from dockertools_py.store.tar_stream import tar_stream


def build(attributes: Attributes) -> None:
    """Spec: `links`, `copies`, `owner`, `mtime`, `extraCommands`, `bash`, `path` (of bin folders), `below` (descriptions),
    `openLinks`.

    Of `below` the entries outside the store count: what is put at `/` goes through their links, and keeps their directories.
    `owners`, if there, and `zstd`: users, groups and permissions, applied last.
    """
    spec = attributes.spec
    source = RootSource(
        tuple(spec["links"]), tuple(spec["copies"]), attributes.owner(), spec["mtime"], spec.get("openLinks", False)
    )
    attributes.out.mkdir()
    tree = Tree()
    for folder in attributes.paths("below"):
        for _, places in read_places(folder):
            tree.apply((entry, 0) for entry in places)
    if "owners" not in spec and not spec["extraCommands"] and not tree.layers:
        # Nothing can move: no need to have all entries at once.
        layer = describe(source)
        write_layers(attributes.out, [layer] if layer.size > len(END) else [])
        write_places(attributes.out, [entries(source)])
        return
    wanted = list(_scripted(attributes, source) if spec["extraCommands"] else entries(source))
    placed = place(wanted, tree, same)
    if "owners" in spec:
        from dockertools_py.derivations.owned import owned  # noqa: PLC0415  (8 ms, and few need it)

        placed = owned(attributes, placed, attributes.paths("below"))
    is_described = not spec["extraCommands"] and list(placed) == wanted
    layers = [] if not placed else [describe(source) if is_described else _stored(attributes, placed, source)]
    write_layers(attributes.out, layers)
    write_places(attributes.out, [placed])


def _scripted(attributes: Attributes, source: RootSource) -> Iterator[Entry]:
    """What a script leaves of the tree that it is given."""
    top = attributes.build_top / "root"
    top.mkdir()
    lay_out(entries(source), top)
    run_plain(attributes, "extraCommands", top)
    return scratch_entries(top, source.owner, source.mtime)


def _stored(attributes: Attributes, placed: Iterable[Entry], source: RootSource) -> Layer:
    """A layer that no source can make again: a script's result, or what depends on the base; its tar is kept."""
    file = attributes.out / "layer.tar"
    with new_file(file, in_place=True) as out:
        digest, size = measure(written(tar_stream(placed), out.write))
    by = "extraCommands" if attributes.spec["extraCommands"] else created_by(source)
    if not (source.links or source.copies or attributes.spec["extraCommands"]):
        by = "users, groups, perms"
    return Layer(digest, size, BlobSource(str(file), 0, size, digest), (), by)
