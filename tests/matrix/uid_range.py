"""Scripts with real ids, on a Nix that gives them: run by ./dev matrix in a tree. See tests/nix/test_uid_range.py."""

import os
from pathlib import Path

import pytest

from tests.conftest import Nix, wrapped
from tests.nix.building import evaluate
from tests.nix.uid_range import FAILING, LAYERS, PRELUDE, check_layers

# Nix names a cgroup by its ids, and kills what is in it: by process 0, its own group, where that is another tree's.
FIRST_ID = 0x40000000 + os.stat("/").st_ino % 4096 * 0x40000
SETTINGS = (
    *("--option", "extra-experimental-features", "auto-allocate-uids cgroups"),
    *("--option", "auto-allocate-uids", "true"),
    *("--option", "extra-system-features", "uid-range"),
    *("--option", "start-id", str(FIRST_ID)),
    *("--option", "id-count", str(0x40000)),
)


def test_layers(nix: Nix) -> None:
    made = evaluate(nix, LAYERS, PRELUDE)
    nix.run("nix-store", "--realise", *SETTINGS, *(derivation for derivation, _ in made.values()))
    check_layers({name: Path(out) for name, (_, out) in made.items()})
    derivation, _ = made["changes"]
    nix.run("nix-store", "--realise", "--check", *SETTINGS, derivation)


@pytest.mark.parametrize("text", FAILING)
def test_what_is_refused_is_told_in_one_line(nix: Nix, text: str) -> None:
    done = nix.run("nix-build", "--no-out-link", *SETTINGS, "-E", wrapped(f"let {PRELUDE} in {text}"), check=False)
    assert done.returncode
    assert f"dockertools-py derivation: {FAILING[text]}\n" in done.stderr, done.stderr


def test_the_check_runs_in_the_same_way(nix: Nix) -> None:
    expression = f"let {PRELUDE} in (made changes).scriptCheck"
    assert nix.build(expression, *SETTINGS).read_text().startswith("two runs made layer ")


def test_whoever_has_not_allowed_it_hears_so_of_nix(nix: Nix) -> None:
    image = 'made { runAsRoot = "true"; }'
    done = nix.run("nix-build", "--no-out-link", "-E", wrapped(f"let {PRELUDE} in {image}"), check=False)
    assert done.returncode
    assert "feature 'uid-range' requires the setting 'auto-allocate-uids' to be enabled" in done.stderr, done.stderr
