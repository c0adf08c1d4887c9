"""Scripts without Nix's sandbox make the same bytes as in it; ./dev matrix tries it with other releases of Nix."""

from pathlib import Path

import pytest

from tests.conftest import Nix, wrapped
from tests.nix.building import evaluate
from tests.nix.test_scripts import IMAGES, PRELUDE

pytestmark = pytest.mark.xdist_group("nix-scripts")

WITHOUT_SANDBOX = ("--option", "sandbox", "false")
CHOSEN = ("changes", "order", "apart", "own-root", "environment", "useradd")
"""All ways to run a script, and what depends most on what is around it."""
LAYER = 'builtins.head (builtins.filter (layer: layer.name == "script-layer") (%s).layers)'


def test_the_sandbox_makes_no_difference(nix: Nix) -> None:
    layers = evaluate(nix, {name: LAYER % IMAGES[name] for name in CHOSEN}, PRELUDE)
    derivations = [derivation for derivation, _ in layers.values()]
    nix.run("nix-store", "--realise", "--max-jobs", "2", *derivations)
    for _, out in layers.values():
        assert (Path(out) / "layer.tar").stat().st_size
    # It builds them again, and fails where anything is not the same.
    nix.run("nix-store", "--realise", "--check", "--max-jobs", "2", *WITHOUT_SANDBOX, *derivations)


def test_there_was_no_sandbox(nix: Nix, salt: str) -> None:
    expression = f"""derivation {{
      name = "outside"; inherit (pkgs.bash) system; builder = "${{pkgs.bash}}/bin/bash";
      args = [ "-c" "echo $NIX_BUILD_TOP {salt} > $out" ];
    }}"""
    assert nix.build(expression, *WITHOUT_SANDBOX).read_text().split()[0] != "/build"


def test_a_failing_script_is_told_in_one_line(nix: Nix) -> None:
    expression = 'build { name = "x"; contents = [ bash ]; runAsRoot = "useradd bob"; }'
    done = nix.run("nix-build", "--no-out-link", *WITHOUT_SANDBOX, "-E", wrapped(expression), check=False)
    line = "dockertools-py derivation: runAsRoot: line 1, `useradd bob`, ended with exit code 127; its last words are above"
    assert f"\n{line}\n" in done.stderr
