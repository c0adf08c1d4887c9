"""The expression in which the idea was first shown builds as it stands, through the overlay."""

import os
from pathlib import Path

import pytest

from tests.conftest import Nix
from tests.nix.building import Build, Outputs
from tests.nix.opened import Image, open_image, open_tar

pytestmark = pytest.mark.xdist_group("nix-images")

SEED = """
with pkgs; with dockerTools; rec {
  image1 = mkTarball { drv = bash; };
  layeredImage1 = build { name = "bash"; addTarball = image1; };
  image2 = mkTarball { drv = python3; };
  image3 = mkTarball { drv = perl; };
  bash-python = build { name = "bash-python"; fromImage = layeredImage1; addTarball = image2; };
  bash-python-perl = build { name = "bash-python-perl"; fromImage = bash-python; addTarball = image3; };
  just-python = build { name = "just-python"; config = { Cmd = [ "${python3}/bin/python3" ]; }; };
  merged = mergeImages { name = "bash-python"; image1 = layeredImage1; image2 = just-python; };
}
"""
NAMES = ("image1", "image2", "image3", "layeredImage1", "bash-python", "bash-python-perl", "just-python", "merged")

OVERLAID = """
  prev = import CHECKOUT/nix/hostpkgs { } // { dockerTools = throw "the old one"; };
  final = prev // import CHECKOUT/nix/overlay.nix final prev;
  pkgs = final;
  seed = SEED;
"""

NIXPKGS = """
# As much of nixpkgs as the expression needs: a function that applies overlays.
{ overlays ? [ ], ... }:
let
  base = _: { dockerTools = throw "the old one"; } // removeAttrs (import HOSTPKGS { }) [ "dockerTools" ];
  apply = final: builtins.foldl' (prev: overlay: prev // overlay final prev) (base final) overlays;
  final = apply final;
in
final
"""


@pytest.fixture(scope="module")
def built(build_all: Build, nix: Nix) -> Outputs:
    prelude = OVERLAID.replace("CHECKOUT", str(nix.checkout)).replace("SEED", SEED)
    return build_all({name: f"seed.{name}" for name in NAMES}, prelude)


def programs(image: Image) -> set[str]:
    """Names in /bin that lead to an executable in the image."""
    found = {Path(name).name for name in image.tree if name.startswith("bin/")}
    return {name for name in found if image.tree[image.resolve(f"/bin/{name}")].mode & 0o111}


def test_through_the_overlay(built: Outputs) -> None:
    bash, python, perl = (open_image(built[name]) for name in ("layeredImage1", "bash-python", "bash-python-perl"))
    assert "bash" in programs(bash) and "python3" not in programs(bash)
    assert {"bash", "python3"} <= programs(python) and "perl" not in programs(python)
    assert {"bash", "python3", "perl"} <= programs(perl)
    for lower, upper in ((bash, python), (python, perl)):
        assert [layer.blob for layer in upper.layers[: len(lower.layers)]] == [layer.blob for layer in lower.layers]
    assert python.names[0].startswith("bash-python:")


def test_just_python_holds_what_its_config_mentions(built: Outputs) -> None:
    image = open_image(built["just-python"])
    (command,) = image.config["Cmd"]
    assert image.tree[image.resolve(command)].mode & 0o111
    assert all(name.startswith("nix") for name in image.tree)


def test_merged_is_both(built: Outputs) -> None:
    bash, python, merged = (open_image(built[name]) for name in ("layeredImage1", "just-python", "merged"))
    assert set(merged.all_store_paths) == set(bash.all_store_paths) | set(python.all_store_paths)
    assert "bash" in programs(merged) and merged.config["Cmd"] == python.config["Cmd"]


@pytest.mark.parametrize(("name", "program"), [("image1", "bash"), ("image2", "python3"), ("image3", "perl")])
def test_tarballs(built: Outputs, name: str, program: str) -> None:
    assert program in programs(Image([], b"{}", [open_tar(built[name])]))


def test_with_a_nixpkgs_that_applies_overlays(nix: Nix, built: Outputs, tmp_path: Path) -> None:
    (tmp_path / "default.nix").write_text(NIXPKGS.replace("HOSTPKGS", f"{nix.checkout}/nix/hostpkgs"))
    imported = f"import <nixpkgs> {{ overlays = [ (import {nix.checkout}/nix/overlay.nix) ]; }}"
    environment = os.environ | {"NIX_PATH": f"nixpkgs={tmp_path}"}
    command = ["nix-build", "--no-out-link", "-E", f"let pkgs = {imported}; in {SEED}"]
    paths = nix.run(*command, env=environment).stdout.split()
    assert sorted(paths) == sorted(str(built[name]) for name in NAMES)
    # And default.nix takes that nixpkgs without being asked.
    command = ["nix-build", "--no-out-link", str(nix.checkout), "-A", "bash-python"]
    done = nix.run(*command, env=environment)
    assert done.stdout.strip() == str(built["bash-python"]) and "no <nixpkgs>" not in done.stderr
