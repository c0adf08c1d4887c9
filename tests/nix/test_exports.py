"""Every function has a test of its own, and every example builds and is a valid image."""

import ast
import re
import sys
from pathlib import Path

import pytest

from tests.conftest import Nix
from tests.nix.building import Build
from tests.nix.opened import lines

pytestmark = pytest.mark.xdist_group("nix-images")


def functions_with_tests() -> set[str]:
    """What the modules beside this one declare by `FUNCTION = "…"`, where they have at least one test, or by `FUNCTIONS = (…)`,
    where they have a test for each: one whose name has that of the function."""
    found = set()
    for module in Path(__file__).parent.glob("test_*.py"):
        text = module.read_text()
        tests = re.findall(r"^def (test_\w+)", text, re.MULTILINE)
        if tests and (declared := re.search(r'^FUNCTION = "(.+)"$', text, re.MULTILINE)):
            found.add(declared[1])
        if several := re.search(r"^FUNCTIONS = (\(.+?\))$", text, re.MULTILINE | re.DOTALL):
            found |= {name for name in ast.literal_eval(several[1]) if any(name in test for test in tests)}
    return found


def test_every_function_has_a_test(nix: Nix) -> None:
    exported = set(nix.eval("builtins.attrNames dockerTools"))
    assert {"build", "mergeImages", "mkTarball"} <= exported
    assert exported - functions_with_tests() == set(), "exported, but no module here says FUNCTION = its name"
    assert functions_with_tests() - exported == set(), "tested, but not exported"


def test_every_function_has_a_file_and_a_comment(nix: Nix) -> None:
    for name in nix.eval("builtins.attrNames dockerTools"):
        text = (nix.checkout / f"nix/{name}.nix").read_text()
        assert text.startswith(f"# {name}: ")
        for heading in ("# Type:", "# Arguments:", "# Example:"):
            assert heading in text, f"{name}.nix says nothing of {heading}"


def test_every_example_builds_and_validates(nix: Nix, build_all: Build) -> None:
    names = nix.eval('builtins.attrNames (removeAttrs ours [ "dockerTools" "pkgs" ])')
    assert {"bash", "bash-python", "bash-python-perl", "just-python", "merged", "hello", "nginx", "redis"} <= set(names)
    built = build_all({name: f'ours."{name}"' for name in names})
    paths = [str(built[name]) for name in names]
    report = list(lines(nix.run(sys.executable, "-m", "dockertools_py", "validate", *paths).stdout))
    assert len(report) == len(names)
    for path, line in zip(paths, report, strict=True):
        assert re.fullmatch(rf"{path}: [1-9]\d* images, [1-9]\d* blobs, 0 mismatches", line)


def test_attributes_of_default_nix(nix: Nix) -> None:
    assert nix.eval("pkgs.dockerTools ? build && builtins.attrNames pkgs.dockerTools == builtins.attrNames dockerTools")
    assert nix.eval(f"(import {nix.checkout} {{ pkgs = pkgs // {{ marked = true; }}; }}).pkgs.marked")
