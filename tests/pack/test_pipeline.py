"""nixpkgs' layeringPipeline, against an oracle that walks every way through small graphs."""

import random
import re
from collections.abc import Iterator
from typing import Any

import pytest

from dockertools_py.errors import DockertoolsError
from dockertools_py.model.references_graph import ReferencesGraph, name_of
from dockertools_py.pack.pipeline import plan_by

Edges = dict[str, list[str]]


def path(name: str) -> str:
    return f"/nix/store/{'0' * 32}-{name}"


def graph(edges: Edges, sizes: dict[str, int] | None = None) -> ReferencesGraph:
    nodes = [
        {"path": path(name), "narSize": (sizes or {}).get(name, 1), "references": [path(other) for other in others]}
        for name, others in edges.items()
    ]
    return ReferencesGraph.from_json(nodes)


def layers(pipeline: Any, edges: Edges, sizes: dict[str, int] | None = None) -> list[set[str]]:
    return [{name_of(found) for found in group} for group in plan_by(_with_paths(pipeline), graph(edges, sizes))]


def _with_paths(value: Any) -> Any:
    """`=name` stands for the path of that name."""
    if isinstance(value, str):
        return path(value[1:]) if value.startswith("=") else value
    if isinstance(value, list):
        return [_with_paths(item) for item in value]
    return {key: _with_paths(item) for key, item in value.items()} if isinstance(value, dict) else value


# --- the oracle: it enumerates ways from the top


def ways(edges: Edges) -> Iterator[list[str]]:
    """Every way from something that nobody refers to, to anything below it."""
    referred = {other for others in edges.values() for other in others}

    def below(way: list[str]) -> Iterator[list[str]]:
        yield way
        for other in edges[way[-1]]:
            yield from below([*way, other])

    for root in edges.keys() - referred:
        yield from below([root])


def closure(edges: Edges, starts: set[str]) -> set[str]:
    found = set(starts)
    while more := {other for name in found for other in edges[name]} - found:
        found |= more
    return found


def split(edges: Edges, paths: set[str]) -> dict[str, set[str]]:
    """A node is of the rest when no way to it leads through these paths, of main when every one does."""
    parts: dict[str, set[str]] = {"main": set(), "common": set(), "rest": set()}
    for name in edges:
        through = {bool(paths & set(way)) for way in ways(edges) if way[-1] == name}
        parts["main" if through == {True} else "rest" if through == {False} else "common"].add(name)
    return {key: names for key, names in parts.items() if names}


def contest(edges: Edges) -> dict[str, int]:
    """The tree of all ways, unfolded: a child has a vote, and what lies below it one more than it has there."""
    referred = {other for others in edges.values() for other in others}

    def votes(children: list[str]) -> dict[str, int]:
        found: dict[str, int] = {}
        for child in children:
            found[child] = found.get(child, 0) + 1
            for name, count in votes(edges[child]).items():
                found[name] = found.get(name, 0) + count + 1
        return found

    return votes([name for name in edges if name not in referred])


def random_edges(chance: random.Random) -> Edges:
    names = [f"n{number:02}" for number in range(chance.randint(1, 9))]
    return {
        name: chance.sample(names[n + 1 :], chance.randint(0, min(3, len(names) - n - 1)))
        for n, name in enumerate(names)
    }


@pytest.mark.parametrize("seed", range(60))
def test_operations_on_random_graphs(seed: int) -> None:
    chance = random.Random(seed)
    edges = random_edges(chance)
    some = set(chance.sample(sorted(edges), chance.randint(1, len(edges))))
    given = [f"={name}" for name in sorted(some)]

    out = closure(edges, some)
    assert layers([["subcomponent_out", given]], edges) == [s for s in (out, edges.keys() - out) if s]
    into = {name for name in edges if closure(edges, {name}) & some}
    assert layers([["subcomponent_in", given]], edges) == [s for s in (into, edges.keys() - into) if s]
    assert layers([["split_paths", given]], edges) == list(split(edges, some).values())
    children = {child for name in some for child in edges[name]}
    wanted = list(split(edges, children).values())
    assert layers([["split_paths", [{"children_of": given}]]], edges) == wanted
    assert layers([["remove_paths", given]], edges) == [s for s in (edges.keys() - some,) if s]

    votes = contest(edges)
    popular = sorted(edges, key=lambda name: (-votes[name], name))
    assert layers([["popularity_contest"]], edges) == [{name} for name in popular]
    assert layers([["popularity_contest"], ["reverse"]], edges) == [{name} for name in reversed(popular)]
    most = chance.randint(1, 12)
    limited = [{name} for name in popular[: most - 1]] + ([set(popular[most - 1 :])] if len(popular) >= most else [])
    assert layers([["popularity_contest"], ["limit_layers", most]], edges) == limited

    sizes = {name: chance.randint(1, 4) for name in edges}
    ordered = sorted(edges, key=lambda name: (sizes[name], name))
    every = [set(ordered[at : at + most]) for at in range(0, len(ordered), most)]
    assert layers([["split_every", most]], edges, sizes) == every


@pytest.mark.parametrize("seed", range(30))
def test_whatever_a_pipeline_does_each_path_is_in_one_layer(seed: int) -> None:
    chance = random.Random(1000 + seed)
    edges = random_edges(chance)
    some = [f"={name}" for name in chance.sample(sorted(edges), chance.randint(1, len(edges)))]
    to_graph = [["subcomponent_out", some], ["subcomponent_in", some], ["split_paths", some]]
    to_list = [["popularity_contest"], ["split_every", 2], ["pipe", [["popularity_contest"], ["limit_layers", 3]]]]
    pipeline = [chance.choice(to_graph)]
    for key in ("main", "common", "rest"):
        if chance.random() < 0.7:
            pipeline.append(["over", key, chance.choice(to_list + to_graph)])
    pipeline += [["flatten"], ["limit_layers", chance.randint(1, 6)]]
    found = layers(pipeline, edges)
    assert sorted(name for layer in found for name in layer) == sorted(edges)
    assert all(found)


EXAMPLE: Edges = {
    "app": ["python", "lib"],
    "tool": ["lib"],
    "python": ["glibc", "ssl"],
    "ssl": ["glibc"],
    "lib": ["glibc"],
    "glibc": [],
}


@pytest.mark.parametrize(
    ("pipeline", "wanted"),
    [
        ([], ["app glibc lib python ssl tool"]),
        # python apart, with what only it needs
        ([["split_paths", ["=python"]]], ["python ssl", "glibc", "app lib tool"]),
        # what is common first, then each package
        (
            [["subcomponent_out", ["=lib"]], ["over", "rest", ["pipe", [["popularity_contest"], ["limit_layers", 2]]]]],
            ["lib glibc", "ssl", "python app tool"],
        ),
        # a way to lib leads through lib
        ([["split_paths", [{"children_of": "=app"}]]], ["python ssl lib glibc", "app tool"]),
        ([["split_paths", ["=gone"]]], ["app glibc lib python ssl tool"]),
        ([["split_every", 4], ["map", ["remove_paths", "=glibc"]]], ["app lib python", "ssl tool"]),
        ([["split_paths", ["=app"]], ["over", "gone", ["flatten"]]], ["app python ssl", "lib glibc", "tool"]),
        ([["subcomponent_in", ["=ssl"]], ["flatten"], ["reverse"]], ["glibc lib tool", "app python ssl"]),
        ([["remove_paths", ["=glibc", "=gone"]]], ["app lib python ssl tool"]),
        # files in a package stand for it
        ([["remove_paths", "=glibc/lib/libc.so"]], ["app lib python ssl tool"]),
    ],
)
def test_examples(pipeline: Any, wanted: list[str]) -> None:
    assert layers(pipeline, EXAMPLE) == [set(names.split()) for names in wanted]


def test_the_contest_of_nixpkgs_own_example() -> None:
    edges = {"r1": ["a"], "a": ["b", "d"], "b": ["d", "f"], "d": ["e"], "r2": ["b"], "r3": ["c"], "x": []}
    edges |= {"e": [], "f": [], "c": []}
    assert layers([["popularity_contest"]], edges) == [{name} for name in ("e", "d", "f", "b", "a", "c", "r1", "r2", "r3", "x")]


def test_a_long_chain() -> None:
    edges = {f"n{number:04}": [f"n{number + 1:04}"] for number in range(1200)} | {"n1200": []}
    assert len(layers([["popularity_contest"], ["limit_layers", 7]], edges)) == 7


@pytest.mark.parametrize(
    ("pipeline", "message"),
    [
        ("x", "x is no list of operations"),
        ([[]], "[] is no operation: write a list that begins with one of flatten limit_layers map over pipe"),
        ([["popularity"]], "['popularity'] is no operation"),
        (["flatten"], "flatten is no operation"),
        ([["limit_layers"]], "`limit_layers` has 0 arguments: it takes 1"),
        ([["popularity_contest"], ["limit_layers", 0]], "`limit_layers` has 0: it takes a whole number, 1 or more"),
        ([["split_every", True]], "`split_every` has True: it takes a whole number"),
        ([["limit_layers", 3]], "`limit_layers` wants a list, and is given a graph"),
        ([["popularity_contest"], ["split_paths", []]], "`split_paths` wants a graph, and is given a list"),
        ([["over", "main", ["flatten"]]], "`over` wants a table of parts, and is given a graph"),
        ([["split_every", 1], ["over", "main", ["flatten"]]], "`over` wants a table of parts, and is given a list"),
        ([["subcomponent_in", []], ["reverse"]], "`reverse` wants a list, and is given a table of parts"),
        ([["split_paths", [{"parents_of": "x"}]]], "it takes paths and { children_of = paths; }"),
        ([["remove_paths", [7]]], "`remove_paths` has 7: it takes store paths"),
        ([["pipe", ["x"]]], "x is no operation"),
        ([["map", 7]], "7 is no operation"),
    ],
)
def test_what_is_no_pipeline(pipeline: Any, message: str) -> None:
    with pytest.raises(DockertoolsError, match="^layeringPipeline: .*" + re.escape(message)):
        layers(pipeline, EXAMPLE)
