"""The layers of some roots: their closure without what is below, planned and described."""

from dockertools_py.derivations.attributes import Attributes
from dockertools_py.model.references_graph import ReferencesGraph, store_path_of
from dockertools_py.pack.layer import PathsSource
from dockertools_py.pack.planner import plan
from dockertools_py.store.describe import describe_all
from dockertools_py.store.description import read_layers, write_layers


def build(attributes: Attributes) -> None:
    """Spec: `roots`, `copied`, `copiedBelow`, `budget` (layers at the most), `below` (descriptions), `owner`, `mtime`.

    Graphs: `closure` of the roots, and `belowClosure` of the roots whose layers lie below, where there are some.
    `copied` are those of all these roots which are copied to `/`: if nothing refers to one, it would only be there twice.
    `copiedBelow` are those that counted as such below: they are not there unless something there refers to them.
    """
    spec, graphs = attributes.spec, attributes.graphs
    closure, below = graphs["closure"], graphs.get("belowClosure", ReferencesGraph({}))
    only_copied = closure.union(below).unreferenced(map(store_path_of, spec["copied"]))
    there = {
        path for folder in attributes.paths("below") for layer in read_layers(folder) for path in layer.store_paths
    }
    there |= below.paths.keys() - below.unreferenced(map(store_path_of, spec["copiedBelow"]))
    own = closure.without(there | only_copied)
    groups = plan(own, map(store_path_of, spec["roots"]), spec["budget"])
    sources = [PathsSource(group, attributes.owner(), spec["mtime"]) for group in groups]
    weights = [sum(own.paths[path].nar_size for path in group) for group in groups]
    layers = describe_all(sources, weights, attributes.cores)
    attributes.out.mkdir()
    write_layers(attributes.out, layers)
