"""The simulator behind docs/scale.md: what must hold whatever is assumed, and that it counts what Nix really builds."""

import json
import random
import subprocess
import sys
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from dockertools_py.model.references_graph import ReferencesGraph
from tests.conftest import CHECKOUT
from tests.nix.test_rebuild import ARCHIVE, CHANGES

SCRIPT = CHECKOUT / "bench/simulate.py"
sys.path.insert(0, str(SCRIPT.parent))
import simulate as simulator  # noqa: E402

FARM = simulator.Farm(images=300, applications=20)
PRICES = simulator.Prices()


def closures(dice: random.Random) -> dict[str, list[dict[str, Any]]]:
    """Some closures that share their lower paths, each with one root."""
    paths: list[dict[str, Any]] = []
    for number in range(30):
        below = dice.sample([path["path"] for path in paths], min(len(paths), 2))
        size = dice.choice([1 << 12, 1 << 21, 1 << 25])
        paths.append({"path": f"/nix/store/{number:032d}-p{number}", "narSize": size, "references": sorted(below)})
    by_path = {path["path"]: path for path in paths}

    def closed(path: str) -> set[str]:
        return {path}.union(*(closed(reference) for reference in by_path[path]["references"]))

    return {path["path"][44:]: [by_path[p] for p in sorted(closed(path["path"]))] for path in paths[-5:]}


@pytest.fixture(scope="module")
def graphs() -> dict[str, ReferencesGraph]:
    found = {name: ReferencesGraph.from_json(items) for name, items in closures(random.Random(7)).items()}
    assert len(found) == 5 and all(len(graph.paths) > 4 for graph in found.values())
    return found


def simulated(graphs: dict[str, ReferencesGraph], **changes: Any) -> dict[str, Any]:
    result: dict[str, Any] = simulator.simulate(graphs, replace(FARM, **changes), PRICES)
    return result


@pytest.mark.parametrize("seed", range(4))
def test_what_holds_whatever_the_dice_say(graphs: dict[str, ReferencesGraph], seed: int) -> None:
    costs = simulated(graphs, seed=seed)
    layers, archive, flat = (costs[way] for way in simulator.WAYS)
    assert layers.derivations >= archive.derivations == flat.derivations, "no archive is built twice"
    assert archive.derivations <= FARM.images
    assert layers.compressed < archive.compressed == flat.compressed
    assert layers.cache_bytes < archive.cache_bytes
    assert layers.registry_bytes == archive.registry_bytes < flat.registry_bytes, "the same layers"
    assert layers.registry_requests == archive.registry_requests
    assert layers.registry_requests >= FARM.images * (PRICES.manifest + PRICES.upload)
    assert simulated(graphs, seed=seed) == costs, "the seed decides"
    assert simulated(graphs, seed=seed + 100) != costs


def test_nothing_costs_nothing(graphs: dict[str, ReferencesGraph]) -> None:
    for cost in simulated(graphs, images=0).values():
        assert not any(getattr(cost, field.name) for field in fields(cost))


def derivations_by_nix(change: str) -> int:
    """Of ours, as tests/nix/test_rebuild.py counts them by evaluation; the archive is not needed to push."""
    return len([name for name in CHANGES[change] if name not in ("last", *ARCHIVE)])


def test_a_change_of_code_costs_the_derivations_that_nix_says(graphs: dict[str, ReferencesGraph]) -> None:
    cost = simulated(graphs, images=1, code=1.0, config=0.0)["layers"]
    assert cost.derivations == derivations_by_nix('image { last = "2"; }')


def test_a_change_of_config_costs_one_and_no_bytes(graphs: dict[str, ReferencesGraph]) -> None:
    cost = simulated(graphs, images=100, code=0.0, config=1.0)["layers"]
    assert cost.derivations == 100 * derivations_by_nix('image { config.Env = [ "A=2" ]; }')
    assert cost.registry_bytes == cost.compressed == 0
    assert cost.cache_bytes == 100 * PRICES.image


def test_a_change_below_hits_all_that_stand_on_it(graphs: dict[str, ReferencesGraph]) -> None:
    """And whatever they share is still built, cached and pushed once."""
    costs = simulated(graphs, code=0.0, config=0.0)
    changed = costs["layers"].derivations
    assert FARM.images < changed < FARM.images * 7, "more than the image; the layers of what is shared once"
    assert costs["layers"].registry_bytes < costs["flat"].registry_bytes


def test_more_images_cost_more(graphs: dict[str, ReferencesGraph]) -> None:
    days = [simulated(graphs, images=number)["layers"] for number in (10, 100, 300)]
    for less, more in pairwise(days):
        for field in fields(less):
            assert getattr(less, field.name) < getattr(more, field.name)


def test_table(tmp_path: Path) -> None:
    file = tmp_path / "closures.json"
    file.write_text(json.dumps(closures(random.Random(7))))
    options = ["--closures", str(file), "--images", "50", "--applications", "5"]
    done = subprocess.run([sys.executable, SCRIPT, *options], capture_output=True, text=True, check=True)
    rows = done.stdout.splitlines()
    assert rows[0].startswith("| a day | a derivation for each root |")
    assert len(rows) == 9 and all(row.count("|") == 5 for row in rows)


def test_documented_numbers_are_those_of_the_simulator() -> None:
    text = (CHECKOUT / "docs/scale.md").read_text()
    shown = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, check=True).stdout
    assert shown.count("\n") == 9
    assert shown in text
    farm = simulator.Farm()
    for value in (PRICES.gzip, farm.images, farm.builders, farm.applications, farm.seed):
        assert f"{value:,}" in text or str(value) in text, f"{value} is assumed, and not told"
    derivations = [int(row.replace(",", "")) for row in shown.splitlines()[2].split("|")[2:4]]
    assert f"the {derivations[0] - derivations[1]:,} additional ones" in text
