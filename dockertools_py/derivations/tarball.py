"""A root file system as one tar: a closure in the store's place, and its roots' files at `/`."""

import heapq
from collections.abc import Iterable
from itertools import chain, groupby
from operator import attrgetter

from dockertools_py.derivations.attributes import Attributes
from dockertools_py.formats.output import new_file
from dockertools_py.model.entry import Entry
from dockertools_py.model.references_graph import store_path_of
from dockertools_py.pack.compression import compress
from dockertools_py.pack.flat import TOP
from dockertools_py.pack.layer import PathsSource, RootSource
from dockertools_py.pack.tar import with_parents
from dockertools_py.store.produce import entries
from dockertools_py.store.tar_stream import tar_stream

_NAME = attrgetter("name")


def build(attributes: Attributes) -> None:
    """Spec: `links`, `copies`, `copied` (copies that are no links), `owner`, `mtime`, `compressor`, `level`, `zstd`.

    `owners`, if there: users, groups and permissions. Graph: `closure` of all of them.
    """
    spec, owner = attributes.spec, attributes.owner()
    closure = attributes.graphs["closure"]
    only_copied = closure.unreferenced(map(store_path_of, spec["copied"]))
    store = entries(PathsSource(tuple(closure.without(only_copied).paths), owner, spec["mtime"]))
    root: Iterable[Entry] = entries(RootSource(tuple(spec["links"]), tuple(spec["copies"]), owner, spec["mtime"]))
    top: tuple[Entry, ...] = ()
    if "owners" in spec:
        # 8 ms, and few need them
        from dockertools_py.derivations.owned import Owned  # noqa: PLC0415
        from dockertools_py.store.below import Below  # noqa: PLC0415

        made = Owned(attributes, Below((), attributes.build_top / "below", spec["zstd"])).after(root)
        # Whatever other names begin with, the top is above them.
        top = tuple(entry for entry in made if entry.name == TOP)
        root = made[len(top) :]
    # Directories such as `nix/` may be in both.
    merged = (next(same) for _, same in groupby(heapq.merge(store, root, key=_NAME), key=_NAME))
    chunks = tar_stream(chain(top, with_parents(merged, owner)))
    with new_file(attributes.out, in_place=True) as out:
        for data in compress(
            chunks, spec["compressor"], level=spec["level"], workers=attributes.cores, zstd=spec["zstd"]
        ):
            out.write(data)
