"""Nothing hangs and nothing is left, whenever a process dies; a run that does not end in time fails."""

import itertools
from pathlib import Path

import pytest

from tests.root.test_run import processes
from tests.root.trees import HERE, give_away, make_tree, run_ours

pytestmark = pytest.mark.xdist_group("root")  # they look for processes of the one user that all of them use

PROCESSES, AT_ONCE, SEEDS = 1000, 8, 2


@pytest.mark.parametrize("seed", range(SEEDS))
def test_processes_that_are_killed(folder: Path, seed: int) -> None:
    before = processes()
    top = make_tree(folder / "tree", {"stress.py": (HERE / "stress.py").read_text()})
    give_away(top)
    command = ("/usr/bin/python3", "-I", "-S", "/stress.py", str(seed), str(PROCESSES), str(AT_ONCE))
    ran = run_ours(top, command, timeout=240)
    assert (ran.code, ran.output) == (0, "done\n")
    assert processes() == before
    assert len(ran.records or ()) > 10
    owners = {tuple(record[:2]) for record in (ran.records or {}).values()}
    assert owners <= {*itertools.product((0, 12), (0, 1))}
