"""The digests of what the Nix functions make of packages that are the same on every machine, against tests/golden."""

import hashlib
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Nix
from tests.golden import golden
from tests.nix.building import Build
from tests.nix.opened import Image, open_archive, open_image, open_tar
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


# The same of nixpkgs' functions, with scripts.
DROPIN_PRELUDE = """
  dropin = plain // { created = "2020-01-02T03:04:05Z"; };
  base = buildLayeredImage (dropin // {
    name = "base"; contents = [ fixed.bash program ]; config.Env = [ "A=1" "B=1" ]; config.User = "7";
  });
  root = buildImage (dropin // {
    name = "Root";
    copyToRoot = [ fixed.bash fixed.perl ];
    keepContentsDirlinks = true;
    runAsRoot = ''
      mkdir -p /data/empty
      echo "it is $HOME" > /data/text
      ln -s text /data/link
      chmod 4750 /data/text
      chown -R 7:8 /data
    '';
    extraCommands = "echo extra > extra";
    config.EntryPoint = [ "${program}" ];
  });
  stream = streamLayeredImage (removeAttrs dropin [ "compressor" ] // {
    name = "stream"; contents = [ fixed.python3 library ]; maxLayers = 3; mtime = "2020-01-02T03:04:05Z"; uid = 5; gid = 6;
  });
  # Without certificates, which are each machine's own
  own = import CHECKOUT/nix { inherit (ours.pkgs) python3 bash coreutils; };
  work = derivation {
    name = "work"; system = "x86_64-linux"; outputs = [ "out" "doc" ];
    builder = "${fixed.bash}/bin/bash"; args = [ "-c" "echo 'it is' > $out" ];
    passAsFile = [ "big" ]; big = "BIG"; list = [ 1 "two" true ]; shellHook = "hooked=yes"; stdenv = library;
  };
"""
SHELL = 'own.buildNixShellImage { drv = work; tag = "1"; compressor = "none"; shell = "${fixed.bash}/bin/bash"; }'
DROPIN_BUILDS = {
    "base": "base",
    "root": "root",
    "child": """buildLayeredImage (dropin // {
      name = "child"; fromImage = base; contents = [ fixed.perl ]; fakeRootCommands = "mkdir srv; chown 1:2 srv";
      config.Env = [ "B=2" ];
    })""",
    "image on image": 'buildImage (dropin // { name = "i"; fromImage = root; copyToRoot = fixed.python3; diskSize = 1; })',
    "merged": "mergeImages [ base root ]",
    "accounts": 'buildImage (dropin // { name = "a"; copyToRoot = fakeNss; })',
}


def test_what_nixpkgs_functions_make(nix: Nix, build_all: Build, tmp_path: Path) -> None:
    prelude = (PRELUDE + DROPIN_PRELUDE).replace("CHECKOUT", str(nix.checkout)).replace("SEED", SEED)
    built = build_all(DROPIN_BUILDS | {"stream": "stream", "shell": SHELL}, prelude)
    archives = {name: built[name].read_bytes() for name in DROPIN_BUILDS}
    archives["stream"] = subprocess.run([built["stream"]], capture_output=True, check=True).stdout
    found: dict[str, Any] = {}
    for name, data in archives.items():
        (file := tmp_path / "archive.tar").write_bytes(data)
        for image in open_archive(file):
            assert all(path.startswith("golden-") for path in image.store_names), "nothing of this machine"
            found[f"{name}: id of {image.names[0]}"] = image.id
            found[f"{name}: diff_ids of {image.names[0]}"] = [layer.diff_id for layer in image.layers]
        found[f"{name}: bytes"] = hashlib.sha256(data).hexdigest()
    golden.compare("dropin", found | shell_texts(open_image(built["shell"])))


def shell_texts(shell: Image) -> dict[str, Any]:
    """What is in the image of a nix shell, without what differs between machines: hashes and versions."""

    def without_hashes(text: str) -> list[str]:
        return re.sub(r"/nix/store/[a-z0-9]{32}-([a-z-]*[a-z])(-[0-9.]+)?", r"/nix/store/HASH-\1", text).splitlines()

    found: dict[str, Any] = {"shell: config": json.loads("\n".join(without_hashes(json.dumps(shell.config))))}
    for path, name in (("rc", "nix-shell-rc/rc"), ("buildDerivation", "build-derivation/bin/buildDerivation")):
        [member] = [member for member in shell.tree if member.endswith(f"-{name}")]
        found[f"shell: {path}"] = without_hashes(shell.read(member).decode())
    found["shell: root"] = [
        f"{member.mode:o} {member.uid}:{member.gid} {path} {''.join(without_hashes(member.linkname))}".strip()
        for path, member in sorted(shell.tree.items())
        if not path.startswith("nix/store/")
    ]
    return found


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
