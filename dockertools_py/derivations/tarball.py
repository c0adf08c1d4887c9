"""A root file system as one tar: a closure in the store's place, and its roots' files at `/`."""

import heapq
from operator import attrgetter

from dockertools_py.derivations.attributes import Attributes
from dockertools_py.formats.output import new_file
from dockertools_py.model.references_graph import store_path_of
from dockertools_py.pack.compression import compress
from dockertools_py.pack.layer import PathsSource, RootSource
from dockertools_py.pack.tar import with_parents
from dockertools_py.store.produce import entries
from dockertools_py.store.tar_stream import tar_stream


def build(attributes: Attributes) -> None:
    """Spec: `links`, `copies`, `copied` (copies that are no links), `owner`, `mtime`, `compressor`, `level`, `zstd`.

    Graph: `closure` of all of them.
    """
    spec, owner = attributes.spec, attributes.owner()
    closure = attributes.graphs["closure"]
    only_copied = closure.unreferenced(map(store_path_of, spec["copied"]))
    store = entries(PathsSource(tuple(closure.without(only_copied).paths), owner, spec["mtime"]))
    root = entries(RootSource(tuple(spec["links"]), tuple(spec["copies"]), owner, spec["mtime"]))
    chunks = tar_stream(with_parents(heapq.merge(store, root, key=attrgetter("name")), owner))
    with new_file(attributes.out, in_place=True) as out:
        for data in compress(
            chunks, spec["compressor"], level=spec["level"], workers=attributes.cores, zstd=spec["zstd"]
        ):
            out.write(data)
