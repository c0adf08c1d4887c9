"""The planner: every path in exactly one layer, within the budget, whatever the order and the hash seed."""

import json
import os
import random
import subprocess
import sys
from itertools import pairwise, permutations

import pytest

from dockertools_py.errors import DockertoolsError
from dockertools_py.model.references_graph import ReferencesGraph, name_of
from dockertools_py.pack.planner import FLOOR, Plan, plan
from tests.oracle.programs import CHECKOUT

MB = 1_000_000
BUDGETS = (1, 2, 3, 4, 5, 10, 40, 120)


def store_path(name: str) -> str:
    return f"/nix/store/{'0' * 32}-{name}"


def graph_of(sizes: dict[str, float], references: dict[str, str] | None = None) -> ReferencesGraph:
    """Of names, sizes in MB, and space-separated references."""
    return ReferencesGraph.from_json(
        {
            "path": store_path(name),
            "narSize": int(size * MB),
            "references": [store_path(other) for other in (references or {}).get(name, "").split()],
        }
        for name, size in sizes.items()
    )


def shown(groups: Plan) -> str:
    """As in the planner's docstring."""
    return " ".join("[" + " ".join(name_of(path) for path in group) + "]" for group in groups)


def random_closure(seed: int, count: int) -> tuple[list[dict[str, object]], list[str]]:
    """JSON of a graph without circles, and its roots."""
    dice = random.Random(seed)
    paths = [f"/nix/store/{dice.getrandbits(160):040x}"[:43] + f"-p{number}" for number in range(count)]
    nodes: list[dict[str, object]] = []
    for number, path in enumerate(paths):
        below = dice.sample(paths[:number], min(number, dice.choice((0, 1, 2, 5))))
        if dice.random() < 0.3:
            below.append(path)  # many paths refer to themselves
        nodes.append({"path": path, "narSize": int(10 ** dice.uniform(2, 9)), "references": below})
    return nodes, dice.sample(paths, min(count, dice.choice((1, 2, 5))))


PYTHON = (
    {"python3": 30, "glibc": 13, "openssl": 5, "zlib": 0.1, "libffi": 0.1},
    {"python3": "glibc openssl zlib libffi", "openssl": "glibc", "zlib": "glibc", "libffi": "glibc"},
)


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        (10, "[glibc] [openssl] [libffi zlib] [python3]"),
        (3, "[glibc] [libffi openssl zlib] [python3]"),
        (2, "[glibc libffi openssl zlib] [python3]"),
        (1, "[glibc libffi openssl python3 zlib]"),
    ],
)
def test_the_examples_of_the_docstring(budget: int, expected: str) -> None:
    assert shown(plan(graph_of(*PYTHON), [store_path("python3")], budget)) == expected


def test_without_small_paths_the_whole_budget_is_for_big_ones() -> None:
    graph = graph_of({"root": 1, "a": 5, "b": 4, "c": 3}, {"root": "a b c"})
    assert shown(plan(graph, [store_path("root")], 4)) == "[a] [b] [c] [root]"
    assert shown(plan(graph, [store_path("root")], 3)) == "[a] [b c] [root]"


def test_a_layer_of_its_own_begins_at_the_floor() -> None:
    graph = graph_of({"root": 1, "at": FLOOR / MB, "below": (FLOOR - 1) / MB}, {"root": "at below"})
    assert shown(plan(graph, [store_path("root")], 10)) == "[at] [below] [root]"


def test_a_new_hash_moves_no_layer() -> None:
    dice = random.Random(4)
    orders = set()
    for _ in range(20):
        names = {name: f"/nix/store/{dice.getrandbits(160):040x}"[:43] + f"-{name}" for name in ("root", "a", "b", "c")}
        nodes = [{"path": names[n], "narSize": 2 * MB, "references": []} for n in ("a", "b", "c")]
        nodes.append({"path": names["root"], "narSize": 1, "references": [names[n] for n in ("a", "b", "c")]})
        orders.add(shown(plan(ReferencesGraph.from_json(nodes), [names["root"]], 10)))
    assert orders == {"[a] [b] [c] [root]"}


def test_of_equal_sizes_the_first_by_path_has_a_layer_of_its_own() -> None:
    names = ["a", "b", "c", "d"]
    for order in permutations(names):
        graph = graph_of(dict.fromkeys(order, 5) | {"root": 1}, {"root": " ".join(order)})
        assert shown(plan(graph, [store_path("root")], 4)) == "[a] [b] [c d] [root]"


@pytest.mark.parametrize("seed", range(15))
def test_random_closures(seed: int) -> None:
    nodes, roots = random_closure(seed, random.Random(seed).choice((1, 2, 3, 10, 100)))
    graph = ReferencesGraph.from_json(nodes)
    levels = graph.levels()
    for budget in BUDGETS:
        groups = plan(graph, roots, budget)
        assert 1 <= len(groups) <= budget
        assert sorted(path for group in groups for path in group) == sorted(graph.paths)
        assert all(list(group) == sorted(group) and group for group in groups)
        if budget > 1 and len(groups) > 1:
            assert set(groups[-1]) == set(roots)
            alone = [levels[group[0]] for group in groups[:-2]]
            assert alone == sorted(alone)


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_the_graph_does_not_matter(seed: int) -> None:
    nodes, roots = random_closure(seed, 200)
    first = plan(ReferencesGraph.from_json(nodes), roots, 20)
    for shuffle in range(3):
        dice = random.Random(shuffle)
        dice.shuffle(nodes)
        dice.shuffle(roots)
        for node in nodes:
            dice.shuffle(node["references"])  # type: ignore[arg-type]
        assert plan(ReferencesGraph.from_json(nodes), roots, 20) == first


def test_the_hash_seed_does_not_matter() -> None:
    nodes, roots = random_closure(1, 300)
    program = (
        "import json, sys\n"
        "from dockertools_py.model.references_graph import ReferencesGraph\n"
        "from dockertools_py.pack.planner import plan\n"
        "nodes, roots = json.load(sys.stdin)\n"
        "print(json.dumps(plan(ReferencesGraph.from_json(nodes), set(roots), 30)))\n"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", program],
            input=json.dumps([nodes, roots]),
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "12345")
    }
    assert len(answers) == 1
    assert json.loads(answers.pop()) == [list(g) for g in plan(ReferencesGraph.from_json(nodes), roots, 30)]


def test_five_thousand_paths() -> None:
    nodes, roots = random_closure(2, 5000)
    groups = plan(ReferencesGraph.from_json(nodes), roots, 120)
    assert len(groups) == 120
    assert sum(map(len, groups)) == 5000


def test_a_chain_deeper_than_the_stack_of_python() -> None:
    names = [f"n{number}" for number in range(10_000)]
    graph = graph_of(dict.fromkeys(names, 2), dict(pairwise(names)))
    groups = plan(graph, [store_path("n0")], 100)
    assert len(groups) == 100
    assert groups[-1] == (store_path("n0"),)
    assert graph.levels()[store_path("n0")] == 9_999


def test_references_in_a_circle_are_refused() -> None:
    graph = graph_of({"a": 1, "b": 1, "c": 1}, {"a": "b", "b": "c", "c": "a"})
    with pytest.raises(DockertoolsError, match=r"^references in a circle: \['/nix/store/"):
        plan(graph, [store_path("a")], 5)


def test_nothing_gives_no_layer() -> None:
    assert plan(ReferencesGraph({}), [], 5) == ()


def test_roots_that_lie_in_lower_layers_already_are_left_out() -> None:
    graph = graph_of({"a": 5, "root": 1}, {"root": "a"})
    assert shown(plan(graph, [store_path("root"), store_path("elsewhere")], 5)) == "[a] [root]"
    assert shown(plan(graph, [store_path("elsewhere")], 5)) == "[a] [root]"
    assert shown(plan(graph, [store_path("elsewhere")], 1)) == "[a root]"
