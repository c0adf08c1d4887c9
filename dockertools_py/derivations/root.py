"""The layer at `/`: links and copies of packages' files, what `extraCommands` does to them, and who owns them."""

from collections.abc import Iterable, Iterator

from dockertools_py.derivations.attributes import Attributes
from dockertools_py.derivations.bash import run_plain
from dockertools_py.formats.output import new_file
from dockertools_py.model.entry import Entry, Kind
from dockertools_py.pack.layer import BlobSource, Layer, RootSource, created_by
from dockertools_py.pack.placing import place, without_what_is_there
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
    `owners`, if there, and `zstd`: users, groups and permissions; a script finds the accounts, and all of it is applied last.
    `defaults`, if there: of `links` those that leave what lies below as it is.
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
    wanted = tuple(entries(source))
    own = tuple(without_what_is_there(wanted, default_names(spec.get("defaults", ())), tree))
    owned = None
    if "owners" in spec:
        # 8 ms, and few need them
        from dockertools_py.derivations.owned import Owned  # noqa: PLC0415
        from dockertools_py.store.below import Below  # noqa: PLC0415

        owned = Owned(attributes, Below(attributes.paths("below"), attributes.build_top / "below", spec["zstd"]))
    if spec["extraCommands"]:
        own = tuple(_scripted(attributes, source, owned.before(own, place(own, tree, same)) if owned else own))
    placed = place(own, tree, same)
    if owned:
        placed = owned.after(placed)
    is_described = not spec["extraCommands"] and placed == wanted
    layers = [] if not placed else [describe(source) if is_described else _stored(attributes, placed, source)]
    write_layers(attributes.out, layers)
    write_places(attributes.out, [placed])


def default_names(packages: Iterable[str]) -> frozenset[bytes]:
    """The files that packages would have at `/`."""
    linked = entries(RootSource(tuple(packages)))
    return frozenset(entry.name for entry in linked if entry.kind is not Kind.DIRECTORY)


def _scripted(attributes: Attributes, source: RootSource, own: tuple[Entry, ...]) -> Iterator[Entry]:
    """What a script leaves of the tree that it is given."""
    top = attributes.build_top / "root"
    top.mkdir()
    lay_out(own, top)
    run_plain(attributes, "extraCommands", top)
    # Those of accounts, which may belong to somebody: no build user can give them away.
    made = {entry.name: entry for entry in own if entry.data}
    for entry in scratch_entries(top, source.owner, source.mtime):
        was = made.get(entry.name)
        is_it = was is not None and entry.kind is Kind.FILE
        yield entry._replace(mode=was.mode, owner=was.owner, xattrs=was.xattrs) if was and is_it else entry


def _stored(attributes: Attributes, placed: Iterable[Entry], source: RootSource) -> Layer:
    """A layer that no source can make again: a script's result, or what depends on the base; its tar is kept."""
    file = attributes.out / "layer.tar"
    with new_file(file, in_place=True) as out:
        digest, size = measure(written(tar_stream(placed), out.write))
    by = "extraCommands" if attributes.spec["extraCommands"] else created_by(source)
    if not (source.links or source.copies or attributes.spec["extraCommands"]):
        by = "users, groups, perms"
    return Layer(digest, size, BlobSource(str(file), 0, size, digest), (), by)
