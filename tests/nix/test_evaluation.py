"""Evaluation: with any package set, without building anything, and in pure mode as far as the package set allows."""

import os
from pathlib import Path

import pytest

from tests.conftest import Nix, wrapped

pytestmark = pytest.mark.xdist_group("nix-evaluation")

MINIMAL = """
  package = name: derivation { inherit name; builder = "/none"; system = "x86_64-linux"; };
  pkgs = { python3 = package "python3"; bash = package "bash"; coreutils = package "coreutils"; };
"""

FORMS = """
  a = builtins.toFile "a" "a";
  one = build { name = "one"; contents = [ pkgs.bash ]; config.Cmd = [ "${pkgs.coreutils}/bin/ls" ]; };
  all = [
    one one.oci one.ociArchive one.stream one.load one.run one.description
    (build { name = "two"; fromImage = one; copyToRoot = [ pkgs.bash ]; layers = [ [ a ] ]; extraCommands = "true"; })
    (build { name = "three"; addTarball = mkTarball { drv = pkgs.bash; }; compressor = "zstd"; })
    (mergeImages { name = "four"; image1 = one; image2 = one; })
    (mergeImages [ one one ])
    (mkTarball { contents = [ pkgs.bash ]; })
  ];
"""


def test_with_nothing_but_python_bash_and_coreutils(nix: Nix) -> None:
    tools = f"(import {nix.checkout} {{ inherit pkgs; }}).dockerTools"
    body = f"let {MINIMAL} in with {tools}; let {FORMS} in map (drv: drv.drvPath) all"
    done = nix.run("nix-instantiate", "--eval", "--strict", "--json", "-E", body)
    assert done.stdout.count(".drv") == 12
    assert "no <nixpkgs>" not in done.stderr, "the package set that comes along is not looked at"


def test_scope_takes_packages_by_name(nix: Nix) -> None:
    body = f"let {MINIMAL} in builtins.attrNames (import {nix.checkout}/nix pkgs)"
    assert nix.run("nix-instantiate", "--eval", "--strict", "--json", "-E", body).stdout.startswith('["binSh","build"')


def test_no_import_from_derivation(nix: Nix) -> None:
    """`drvPath` of everything, with a package set that cannot be built: whoever wanted to look into one would fail."""
    tools = f"(import {nix.checkout} {{ inherit pkgs; }}).dockerTools"
    body = f"let {MINIMAL} in with {tools}; let {FORMS} in map (drv: [ drv.drvPath drv.outPath ]) all"
    options = ["--option", "allow-import-from-derivation", "false"]
    done = nix.run("nix-instantiate", "--eval", "--strict", "--json", "--read-write-mode", *options, "-E", body)
    assert done.stdout.count(".drv") == 12
    nix.run("nix-instantiate", *options, "-E", wrapped('removeAttrs ours [ "dockerTools" "pkgs" ]'))


def test_the_option_does_what_the_test_before_relies_on(nix: Nix) -> None:
    expression = 'import (derivation { name = "x"; builder = "/none"; system = builtins.currentSystem; })'
    options = ["--option", "allow-import-from-derivation", "false"]
    done = nix.run("nix-instantiate", "--eval", "--read-write-mode", *options, "-E", expression, check=False)
    assert done.returncode != 0 and "allow-import-from-derivation" in done.stderr


def test_every_file_parses(nix: Nix) -> None:
    files = [file for folder in ("nix", "examples") for file in (nix.checkout / folder).rglob("*.nix")]
    files += list(nix.checkout.glob("*.nix"))
    assert len(files) > 25
    nix.run("nix-instantiate", "--parse", *map(str, files))


def test_only_builtins_and_packages_are_used(nix: Nix) -> None:
    """Nothing of nixpkgs' lib, and no file outside: nix/ can be copied away and still works."""
    for file in [*(nix.checkout / "nix/internal").glob("*.nix"), *(nix.checkout / "nix").glob("*.nix")]:
        text = "".join(line.partition("#")[0] for line in file.read_text().splitlines(keepends=True))
        # A shell's variable of that name is a derivation's own.
        assert "lib." not in text and "stdenv" not in text.replace("$stdenv", ""), file
        assert "<nixpkgs>" not in text or file.name in ("packageSet.nix", "hydra.nix"), file


def test_an_image_of_thirty_roots(nix: Nix) -> None:
    body = """let
        roots = builtins.genList (n: builtins.toFile "root${toString n}" "${toString n}") 30;
        image = build { name = "thirty"; contents = roots; };
      in [ (builtins.length image.layers) image.drvPath ]"""
    count, path = nix.eval(body)
    assert count == 31 and path.endswith(".drv")


def test_the_checkout_may_lie_in_a_folder_of_any_name(nix: Nix, tmp_path: Path) -> None:
    folder = tmp_path / "with spaces, and 'quotes'"
    folder.mkdir()
    for name in ("nix", "dockertools_py", "examples", "default.nix"):
        os.symlink(nix.checkout / name, folder / name)
    original = nix.run("nix-instantiate", str(nix.checkout), "-A", "hello").stdout
    body = f'(import (/. + "{folder}") {{ pkgs = (import {nix.checkout} {{ }}).pkgs; }}).hello'
    assert nix.run("nix-instantiate", "-E", body).stdout == original
