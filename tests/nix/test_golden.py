"""The digests of what the Nix functions make of packages that are the same on every machine, against tests/golden."""

import hashlib
from typing import Any

import pytest

from tests.conftest import Nix
from tests.golden import golden
from tests.nix.building import Build
from tests.nix.opened import open_image, open_tar
from tests.nix.test_seed import SEED

pytestmark = pytest.mark.xdist_group("nix-images")

# The expression that the idea was first shown with, of three trees in the place of three packages; and what has references.
PRELUDE = """
  package = name: builtins.path { path = CHECKOUT/tests/golden/tree + "/${name}"; name = "golden-${name}"; };
  fixed = { python3 = package "python3"; bash = package "bash"; perl = package "perl"; };
  pkgs = fixed // { inherit dockerTools; };
  seed = SEED;
  library = builtins.toFile "golden-library" "a library\n";
  program = builtins.toFile "golden-program" "of ${library}\n";
  plain = { tag = "1"; created = "2020-01-02T03:04:05Z"; compressor = "none"; architecture = "amd64"; };
  layered = build (plain // {
    name = "layered"; layers = [ program ]; contents = [ fixed.bash ]; maxLayers = 5; config.Cmd = [ "${program}" ];
  });
  child = build (plain // {
    name = "child"; fromImage = layered; copyToRoot = [ fixed.perl ]; uid = 1000; gid = 100; mtime = 7;
  });
  other = build (plain // { name = "other"; contents = [ fixed.python3 ]; config.Env = [ "A=1" ]; });
"""
SEEDS = ("layeredImage1", "bash-python", "bash-python-perl", "just-python", "merged")
BUILDS = {
    **{f"seed {name}": f'seed."{name}"' for name in SEEDS},
    "layered": "layered",
    "child": "child",
    "merged": 'mergeImages { name = "merged"; tag = "1"; images = [ layered other ]; compressor = "none"; }',
    "flat": 'flattenImage { name = "flat"; fromImage = child; tag = "1"; compressor = "none"; }',
    "delta": 'mkDelta { fromImage = layered; toImage = child; tag = "1"; compressor = "none"; }',
}
TARS = {
    "tarball": 'mkTarball { contents = [ fixed.bash ]; compressor = "none"; }',
    "seed tarball": "seed.image1",
    "exported": "exportImage { fromImage = child; }",
    "delta tarball": "(mkDelta { fromImage = layered; toImage = child; }).tarball",
    "removed": "(mkDelta { fromImage = child; toImage = layered; }).removed",
}


def test_what_the_functions_make(nix: Nix, build_all: Build) -> None:
    prelude = PRELUDE.replace("CHECKOUT", str(nix.checkout)).replace("SEED", SEED)
    built = build_all(BUILDS | TARS, prelude)
    found: dict[str, Any] = {}
    for name in BUILDS:
        image = open_image(built[name])
        found[f"{name}: diff_ids"] = [layer.diff_id for layer in image.layers]
        # The seed's images are for the processor of whoever builds them, and compressed, which follows zlib.
        if not name.startswith("seed"):
            found[f"{name}: id"] = image.id
    for name in {**BUILDS, **TARS}:
        if not name.startswith("seed"):
            found[f"{name}: bytes"] = hashlib.sha256(built[name].read_bytes()).hexdigest()
    found["seed tarball: uncompressed"] = open_tar(built["seed tarball"]).diff_id
    golden.compare("functions", found)
