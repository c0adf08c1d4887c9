"""300 random sequences of file operations end in the tree that real root would have made, and say the same on the way."""

from pathlib import Path

import pytest

from tests.root.looking import Ran, differences, look
from tests.root.sequences import sequences
from tests.root.trees import give_away, make_tree, run_ours, run_real

pytestmark = pytest.mark.xdist_group("root")  # they look for processes of the one user that all of them use

SEQUENCES, BATCHES = 300, 3
COMMAND = ("/bin/sh", "-c", "mkdir /w && cd /w && exec /fileops < /operations")


@pytest.mark.parametrize("seed", range(BATCHES))
def test_as_real_root(fileops: Path, folder: Path, seed: int) -> None:
    files = {"fileops": fileops.read_bytes(), "operations": sequences(SEQUENCES // BATCHES, seed)}
    trees = {name: make_tree(folder / name, files) for name in ("real", "ours")}
    give_away(trees["ours"])
    real, ours = run_real(trees["real"], COMMAND), run_ours(trees["ours"], COMMAND)
    assert real.code == ours.code == 0, (real.output[-500:], ours.output[-500:])
    _compare_talk(files["operations"], real, ours)
    expected, found = look(trees["real"], real), look(trees["ours"], ours)
    assert len(expected) > 500
    assert expected == found, differences(expected, found)
    # The oracle has seen what this is about.
    assert len({entry[2] for entry in expected.values()}) > 20
    assert any(entry[1] & 0o4000 for entry in expected.values())
    assert any(entry[4] for entry in expected.values())
    assert any(entry[3] != (0, 0) for entry in expected.values())
    assert any(len(entry[6]) > 1 for entry in expected.values())


def _compare_talk(operations: str, real: Ran, ours: Ran) -> None:
    lines = operations.splitlines()
    pairs = list(zip(real.output.splitlines(), ours.output.splitlines(), strict=True))
    assert len(pairs) > len(lines) // 2
    for expected, found in pairs:
        number = int(expected.split()[0])
        assert expected == found, "\n".join([*lines[_start(lines, number) : number], f"real {expected}", f"ours {found}"])


def _start(lines: list[str], number: int) -> int:
    return max(index for index in range(number) if lines[index].startswith("in "))
