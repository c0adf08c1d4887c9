"""The flake, offline: on the embedded set in the place of nixpkgs."""

import json
import os
from pathlib import Path

import pytest

from tests.conftest import Nix
from tests.nix.building import NIX_COMMAND
from tests.nix.opened import lines

pytestmark = pytest.mark.xdist_group("nix-images")


def run(nix: Nix, flake: Path, verb: str, attribute: str = "", *options: str) -> str:
    """`nix VERB FLAKE#ATTRIBUTE`, without network; its standard output."""
    # The embedded set looks for its .cache in the current directory.
    environment = os.environ | {"PWD": str(nix.checkout), "HOME": str(flake.parent)}
    instead = ["--override-input", "nixpkgs", f"path:{nix.checkout}/nix/hostpkgs", "--no-write-lock-file", "--impure"]
    command = [*NIX_COMMAND, *verb.split(), f"path:{flake}{attribute}", *instead, "--offline", *options]
    return nix.run(*command, env=environment).stdout


def system_of(nix: Nix) -> str:
    return nix.run("nix-instantiate", "--eval", "-E", "builtins.currentSystem").stdout.strip().strip('"')


def test_show(nix: Nix, flake: Path) -> None:
    shown = json.loads(run(nix, flake, "flake show", "", "--json"))
    examples = set(nix.eval('builtins.attrNames (removeAttrs ours [ "dockerTools" "pkgs" ])'))
    system = system_of(nix)
    assert set(shown) >= {"apps", "checks", "hydraJobs", "lib", "overlays", "packages", "templates"}
    assert set(shown["packages"][system]) == examples | {"default", "dockertools-py"}
    assert set(shown["checks"][system]) == examples
    assert all(package["type"] == "derivation" for package in shown["packages"][system].values())


def built(nix: Nix, flake: Path, attribute: str, link: Path) -> str:
    """The output of an attribute: --print-out-paths is newer than Nix 2.8."""
    run(nix, flake, "build", attribute, "--out-link", str(link))
    return os.readlink(link)


def test_build_is_what_nix_build_builds(nix: Nix, flake: Path, tmp_path: Path) -> None:
    path = built(nix, flake, "#bash-python", tmp_path / "result")
    assert path == nix.run("nix-build", "--no-out-link", "-A", "bash-python").stdout.strip()
    assert built(nix, flake, "", tmp_path / "default") == path


def test_a_check_validates_an_image(nix: Nix, flake: Path) -> None:
    run(nix, flake, "build", f"#checks.{system_of(nix)}.hello", "--no-link")


def test_flake_check(nix: Nix, flake: Path) -> None:
    """Nix's own idea of what each output is; and all images are validated."""
    run(nix, flake, "flake check")


def test_run(nix: Nix, flake: Path) -> None:
    hello = nix.run("nix-build", "--no-out-link", "-A", "hello").stdout.strip()
    (report,) = lines(run(nix, flake, "run", "", "--", "validate", hello))
    assert report.endswith(" 0 mismatches")


def test_lib_and_overlay(nix: Nix, flake: Path) -> None:
    hostpkgs = f"import {nix.checkout}/nix/hostpkgs {{ }}"
    by_overlay = f"f: let final = {hostpkgs} // f final {{ }}; in builtins.attrNames final.dockerTools"
    codes = {"#lib.dockerTools": f"f: builtins.attrNames (f ({hostpkgs}))", "#overlays.default": by_overlay}
    for attribute, code in codes.items():
        value = json.loads(run(nix, flake, "eval", attribute, "--json", "--apply", code))
        assert value == nix.eval("builtins.attrNames dockerTools")
