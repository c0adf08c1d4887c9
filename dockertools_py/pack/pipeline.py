"""nixpkgs' `layeringPipeline`: how somebody says himself which store path goes in which layer.

A pipeline is a list of operations `[name, argument…]`. The first is given the references graph of all that is to be in layers,
each other what the one before made of it: a graph, a list, or a table of parts by name, nested as may be. What is left at the
end is flattened, and each graph in it is a layer, the lowest first. For example python below, what both need above it, and the
application in up to 20 layers:

    [["split_paths", [python]], ["over", "rest", ["pipe", [["popularity_contest"], ["limit_layers", 20]]]]]

    operation           given      makes
    subcomponent_out    graph      main: these paths and all that they need; rest
    subcomponent_in     graph      main: these paths and all that needs them; rest
    split_paths         graph      main: these paths and what only they need; common: what others need too; rest
    remove_paths        graph      a graph without these paths
    popularity_contest  graph      a list of single paths, what is needed most first
    split_every         graph      a list of graphs of so many paths each
    limit_layers        list       so many at the most: what is too much goes together in the last
    reverse             list       the other way round
    flatten             any        a list of graphs
    over                table      the same, with one part changed by an operation
    map                 list       each changed by an operation
    pipe                any        several operations, one after the other

The order of paths in a graph, where it counts, is by size and then by name.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model.references_graph import ReferencesGraph, name_of, store_path_of

Operation = Callable[[Any], Any]


def plan_by(pipeline: Any, graph: ReferencesGraph) -> tuple[tuple[str, ...], ...]:
    """The layers that a pipeline, as read from JSON, makes of a graph: paths sorted, lowest layer first, none empty.

    Raises DockertoolsError for what is no pipeline, and for operations that do not fit what they are given.
    """
    groups = (tuple(sorted(group.paths)) for group in _flatten(_pipe(pipeline)(graph)))
    return tuple(group for group in groups if group)


def _operation(given: Any) -> Operation:
    """Of `[name, argument…]`."""
    if not isinstance(given, list) or not given or given[0] not in _OPERATIONS:
        known = " ".join(sorted(_OPERATIONS))
        raise _wrong(f"{shown(given)} is no operation: write a list that begins with one of {known}")
    name, *arguments = given
    make, count = _OPERATIONS[name]
    if len(arguments) != count:
        raise _wrong(f"`{name}` has {len(arguments)} arguments: it takes {count}")
    operation: Operation = make(*arguments)
    return operation


def _pipe(given: Any) -> Operation:
    if not isinstance(given, list):
        raise _wrong(f"{shown(given)} is no list of operations")
    operations = [_operation(one) for one in given]

    def run(value: Any) -> Any:
        for operation in operations:
            value = operation(value)
        return value

    return run


def _over(key: Any, given: Any) -> Operation:
    operation = _operation(given)

    def run(value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise _unfit("over", "a table of parts", value)
        # A part may be missing: `split_paths` leaves out those that are empty.
        return {name: operation(part) if name == key else part for name, part in value.items()}

    return run


def _map(given: Any) -> Operation:
    operation = _operation(given)
    return lambda value: [operation(part) for part in _list("map", value)]


def _subcomponent(name: str, *, upwards: bool) -> Callable[[Any], Operation]:
    def make(paths: Any) -> Operation:
        def run(value: Any) -> dict[str, ReferencesGraph]:
            graph = _graph(name, value)
            edges = _referrers(graph) if upwards else {path: node.references for path, node in graph.paths.items()}
            main = _reachable(edges, _present(name, paths, graph))
            return {"main": graph.only(main), "rest": graph.without(main)}

        return run

    return make


def _split_paths(given: Any) -> Operation:
    def run(value: Any) -> dict[str, ReferencesGraph]:
        graph = _graph("split_paths", value)
        split = {path for one in _as_list(given) for path in _split_off(one, graph)}
        edges = {path: node.references for path, node in graph.paths.items()}
        below = _reachable(edges, split)
        # Who gets there otherwise than through the paths that are split off
        others = {path: tuple(r for r in references if r not in split) for path, references in edges.items()}
        referrers = _referrers(graph)
        elsewhere = _reachable(others, (path for path in edges if not referrers[path] and path not in split))
        parts = {"main": below - elsewhere, "common": below & elsewhere, "rest": edges.keys() - below}
        return {name: graph.only(paths) for name, paths in parts.items() if paths}

    return run


def _split_off(one: Any, graph: ReferencesGraph) -> Iterable[str]:
    if not isinstance(one, Mapping):
        return _present("split_paths", one, graph)
    if set(one) != {"children_of"}:
        raise _wrong(f"`split_paths` has {shown(one)}: it takes paths and {{ children_of = paths; }}")
    parents = _present("split_paths", one["children_of"], graph)
    return [child for parent in parents for child in graph.paths[parent].references]


def _remove_paths(paths: Any) -> Operation:
    def run(value: Any) -> ReferencesGraph:
        graph = _graph("remove_paths", value)
        return graph.without(_present("remove_paths", paths, graph))

    return run


def _split_every(count: Any) -> Operation:
    size = _count("split_every", count)

    def run(value: Any) -> list[ReferencesGraph]:
        graph = _graph("split_every", value)
        ordered = sorted(graph.paths.values(), key=lambda node: (node.nar_size, node.path))
        return [graph.only(node.path for node in ordered[at : at + size]) for at in range(0, len(ordered), size)]

    return run


def _limit_layers(count: Any) -> Operation:
    most = _count("limit_layers", count)

    def run(value: Any) -> list[ReferencesGraph]:
        layers = _flatten(_list("limit_layers", value))
        if len(layers) <= most:
            return layers
        last = ReferencesGraph({})
        for layer in layers[most - 1 :]:
            last = last.union(layer)
        return [*layers[: most - 1], last]

    return run


def _popularity_contest() -> Operation:
    """Each node counts more the more lead to it, and the deeper it lies.

    The votes for a node below a parent: one for each child that is the node, and for each child that it lies below the
    votes that it has there and one more. What nobody refers to are the children of the top.
    """

    def run(value: Any) -> list[ReferencesGraph]:
        graph = _graph("popularity_contest", value)
        levels = graph.levels()
        votes: dict[str, dict[str, int]] = {}
        for path in sorted(graph.paths, key=lambda path: levels[path]):
            votes[path] = _votes(graph.paths[path].references, votes)
        referrers = _referrers(graph)
        total = _votes([path for path in graph.paths if not referrers[path]], votes)
        ordered = sorted(graph.paths, key=lambda path: (-total[path], name_of(path), path))
        return [graph.only([path]) for path in ordered]

    return run


def _votes(children: Iterable[str], below: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    votes: dict[str, int] = {}
    for child in children:
        votes[child] = votes.get(child, 0) + 1
        for path, count in below[child].items():
            votes[path] = votes.get(path, 0) + count + 1
    return votes


_OPERATIONS: dict[str, tuple[Callable[..., Operation], int]] = {
    "flatten": (lambda: _flatten, 0),
    "limit_layers": (_limit_layers, 1),
    "map": (_map, 1),
    "over": (_over, 2),
    "pipe": (_pipe, 1),
    "popularity_contest": (_popularity_contest, 0),
    "remove_paths": (_remove_paths, 1),
    "reverse": (lambda: lambda value: _list("reverse", value)[::-1], 0),
    "split_every": (_split_every, 1),
    "split_paths": (_split_paths, 1),
    "subcomponent_in": (_subcomponent("subcomponent_in", upwards=True), 1),
    "subcomponent_out": (_subcomponent("subcomponent_out", upwards=False), 1),
}
"""What makes each operation of its arguments, and how many these are."""


def _flatten(value: Any) -> list[ReferencesGraph]:
    if isinstance(value, ReferencesGraph):
        return [value]
    parts = value.values() if isinstance(value, Mapping) else value
    return [graph for part in parts for graph in _flatten(part)]


def _reachable(edges: Mapping[str, Sequence[str]], starts: Iterable[str]) -> set[str]:
    found: set[str] = set()
    todo = list(starts)
    while todo:
        path = todo.pop()
        if path not in found:
            found.add(path)
            todo += edges[path]
    return found


def _referrers(graph: ReferencesGraph) -> dict[str, list[str]]:
    referrers: dict[str, list[str]] = {path: [] for path in graph.paths}
    for path, node in graph.paths.items():
        for reference in node.references:
            referrers[reference].append(path)
    return referrers


def _present(name: str, paths: Any, graph: ReferencesGraph) -> list[str]:
    """Those of some paths that are there: what an image lacks is no error."""
    for path in _as_list(paths):
        if not isinstance(path, str):
            raise _wrong(f"`{name}` has {shown(path)}: it takes store paths")
    return [path for path in map(store_path_of, _as_list(paths)) if path in graph.paths]


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _count(name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise _wrong(f"`{name}` has {shown(value)}: it takes a whole number, 1 or more")
    return value


def _graph(name: str, value: Any) -> ReferencesGraph:
    if not isinstance(value, ReferencesGraph):
        raise _unfit(name, "a graph", value)
    return value


def _list(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise _unfit(name, "a list", value)
    return value


def _unfit(name: str, wanted: str, value: Any) -> DockertoolsError:
    kinds = {ReferencesGraph: "a graph", list: "a list", dict: "a table of parts"}
    return _wrong(f"`{name}` wants {wanted}, and is given {kinds[type(value)]}")


def _wrong(message: str) -> DockertoolsError:
    return DockertoolsError(f"layeringPipeline: {message}")
