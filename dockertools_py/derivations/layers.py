"""The layers of some roots: their closure without what is below, planned and described."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dockertools_py.derivations.attributes import Attributes
from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model.references_graph import ReferencesGraph, store_path_of
from dockertools_py.pack.layer import PathsSource, shown_paths
from dockertools_py.pack.pipeline import plan_by
from dockertools_py.pack.planner import plan
from dockertools_py.store.describe import describe_all
from dockertools_py.store.description import read_layers, write_layers


def build(attributes: Attributes) -> None:
    """Spec: `roots`, `copied`, `copiedBelow`, `budget`, `below` (descriptions), `owner`, `mtime`.

    Graphs: `closure` of the roots, and `belowClosure` of the roots whose layers lie below, where there are some.
    `copied` are those of all these roots which are copied to `/`: if nothing refers to one, it would only be there twice.
    `unwanted` are those of which only what they refer to is wanted.
    `copiedBelow` are those that counted as such below: they are not there unless something there refers to them.
    `budget` is how many layers there may be; or where the base's must be counted first, see `_budget`. A `pipeline`, or a
    file with one as JSON, says what goes in which.
    """
    spec, graphs = attributes.spec, attributes.graphs
    closure, below = graphs["closure"], graphs.get("belowClosure", ReferencesGraph({}))
    only_copied = closure.union(below).unreferenced(map(store_path_of, spec["copied"]))
    there = shown_paths(layer for folder in attributes.paths("below") for layer in read_layers(folder))
    there |= below.paths.keys() - below.unreferenced(map(store_path_of, spec["copiedBelow"]))
    own = closure.without(there | only_copied | set(spec.get("unwanted", ())))
    budget = _budget(spec["budget"])
    if spec.get("pipeline") is None:
        groups = plan(own, map(store_path_of, spec["roots"]), budget)
    else:
        groups = plan_by(_pipeline(spec["pipeline"]), own)
        if len(groups) > budget:
            raise DockertoolsError(
                f"layeringPipeline: it makes {len(groups)} layers, and there is room for {budget}: "
                f'let it end with [ "flatten" ] [ "limit_layers" {budget} ]'
            )
    sources = [PathsSource(group, attributes.owner(), spec["mtime"]) for group in groups]
    weights = [sum(own.paths[path].nar_size for path in group) for group in groups]
    layers = describe_all(sources, weights, attributes.cores)
    attributes.out.mkdir()
    write_layers(attributes.out, layers)


def _budget(budget: int | Mapping[str, Any]) -> int:
    """A number, or one part of what `most` layers leave above those of `stack`, at the most `cap`."""
    if isinstance(budget, int):
        return budget
    there = sum(len(read_layers(Path(folder))) for folder in budget["stack"])
    room: int = budget["most"] - there
    if room < 1 and budget.get("named"):
        raise DockertoolsError(
            f"maxLayers: the base has {there} layers, and with those of `/` that leaves none for the packages; "
            "write a larger number (125 at the most), or give the base a smaller one"
        )
    return max(1, min(int(budget.get("cap", room)), room // int(budget["part"])))


def _pipeline(given: Any) -> Any:
    if not isinstance(given, str):
        return given
    try:
        return json.loads(Path(given).read_bytes())
    except (OSError, ValueError) as error:
        raise DockertoolsError(f"layeringPipeline: {given} is no file with JSON: {shown(error)}") from error
