"""Other machines as builders: what is built where, what is sent there, and what it costs when one of them dies."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.need import need_root
from tests.conftest import Nix, wrapped
from tests.nix.building import names

pytestmark = pytest.mark.xdist_group("nix-farm")

STAND_IN = Path(__file__).with_name("ssh_stand_in.py")
SIGN = "the builder may die now"

IMAGE = """
  root = name: writeTextDir "etc/${name}" "SALT";
  image = build {
    name = "app"; tag = "1"; contents = map root [ "r1" "r2" "r3" "r4" ];
    extraCommands = "echo 'SIGN' >&2; sleep 3; mkdir data";
  };
  plain = image.override { extraCommands = ""; };
"""
ROOTS = ["r1", "r2", "r3", "r4"]
LAYERS = [*(f"{root}-layers" for root in ROOTS), "root-layer"]


@dataclass(frozen=True)
class Farm:
    """Some machines without anything in their stores."""

    nix: Nix
    folder: Path

    def start(self, *hosts: str) -> None:
        """Hosts that are there from now on."""
        for host in hosts:
            (self.folder / host).mkdir()

    def realise(
        self, derivations: list[str], *hosts: str, slots: int = 1, jobs: int = 0
    ) -> subprocess.CompletedProcess[str]:
        """Build derivations, `slots` at a time on each of these machines, and `jobs` on this one."""
        system = self.nix.eval("builtins.currentSystem")
        builders = " ; ".join(f"ssh://{host} {system} - {slots} 1" for host in hosts)
        path = f"{self.folder}:{os.environ['PATH']}"
        command = ["nix-store", "--realise", *derivations, "--max-jobs", str(jobs), "--builders", builders]
        return self.nix.run(*command, check=False, env=os.environ | {"PATH": path, "FARM": str(self.folder)})

    def paths(self, host: str, *, built: bool | None = None) -> set[str]:
        """What is valid in a machine's store; `built`: there, or not there."""
        database = self.folder / host / "store/nix/var/nix/db/db.sqlite"
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
            rows = connection.execute("select path, coalesce(ultimate, 0) from ValidPaths").fetchall()
        return {path for path, ultimate in rows if built is None or bool(ultimate) is built}

    def built(self, host: str) -> list[str]:
        """The names of what was built on a machine."""
        return names(self.paths(host, built=True))


@pytest.fixture
def farm(nix: Nix, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    need_root()
    folder = tmp_path_factory.mktemp("farm")
    (folder / "ssh").write_text(f'#!/bin/sh\nexec {sys.executable} -IB {STAND_IN} "$@"\n')
    (folder / "ssh").chmod(0o755)
    yield Farm(nix, folder)
    subprocess.run(["chmod", "-R", "u+w", folder], check=True)
    shutil.rmtree(folder)


def derivations(nix: Nix, salt: str, *expressions: str) -> list[str]:
    prelude = IMAGE.replace("SALT", salt).replace("SIGN", SIGN)
    body = f"let {prelude} in [ {' '.join(f'({expression})' for expression in expressions)} ]"
    return [line.partition("!")[0] for line in nix.run("nix-instantiate", "-E", wrapped(body)).stdout.split()]


def ours(nix: Nix, *tops: str) -> list[str]:
    """Of the derivations below some, those that one of this project's programs builds."""
    needed = [path for path in nix.run("nix-store", "-qR", *tops).stdout.split() if path.endswith(".drv")]
    return [path for path in needed if '"derivation"' in Path(path).read_text()]


def closure(nix: Nix, *paths: str) -> set[str]:
    return set(nix.run("nix-store", "-qR", *paths).stdout.split())


def outputs(nix: Nix, *tops: str) -> list[str]:
    return nix.run("nix-store", "-q", "--outputs", *tops).stdout.split()


def test_layers_of_one_image_are_built_on_two_machines(nix: Nix, farm: Farm, salt: str) -> None:
    """Nothing is built here, and all that came back is what would have been built here, bit for bit."""
    farm.start("one", "two")
    (top,) = derivations(nix, salt, "plain")
    done = farm.realise([top], "one", "two")
    assert done.returncode == 0, done.stderr
    one, two = farm.built("one"), farm.built("two")
    assert [name for name in one if name.endswith("-layers")] and [name for name in two if name.endswith("-layers")]
    made = sorted(name for name in one + two if name not in ROOTS and not name.startswith("dockertools-py"))
    assert made == sorted([*LAYERS, *(f"{layer}-gz" for layer in LAYERS), "image", "docker-image-app.tar"]), (
        "each once, on one of the two"
    )
    built = farm.paths("one", built=True) | farm.paths("two", built=True)
    derivers = nix.run("nix-store", "-q", "--deriver", *built).stdout.split()
    nix.run("nix-store", "--realise", "--check", *derivers, "--builders", "")


def test_what_is_sent(nix: Nix, farm: Farm, salt: str) -> None:
    """For a description: python, our program, and what is described. Archives stay here."""
    farm.start("far")
    roots = derivations(nix, salt, *(f'root "{name}"' for name in ROOTS))
    nix.run("nix-store", "--realise", *roots)
    description, archive = derivations(nix, salt, "plain.description", "plain")
    done = farm.realise([description], "far", slots=8, jobs=1)
    assert done.returncode == 0, done.stderr
    assert farm.built("far") == sorted(LAYERS), "the image's own JSON is made here"

    (python,) = nix.eval("[ pkgs.python3.outPath ]")
    program = [path for path in farm.paths("far") if path.endswith("-dockertools-py-builder")]
    assert len(program) == 1
    assert farm.paths("far", built=False) == closure(nix, python, *program, *outputs(nix, *roots))

    # Compressing is worth the way; what puts the parts together again stays.
    done = farm.realise([archive], "far", slots=8, jobs=1)
    assert done.returncode == 0, done.stderr
    assert farm.built("far") == sorted([*LAYERS, *(f"{layer}-gz" for layer in LAYERS)])
    assert not [path for path in farm.paths("far") if "docker-image" in path]


def test_where_nothing_may_be_built_here_all_is_built_there(nix: Nix, farm: Farm, salt: str) -> None:
    """`preferLocalBuild` is a wish: without a job to spare here, the other machine does that too."""
    farm.start("far")
    (description,) = derivations(nix, salt, "(plain.override { contents = root \"r1\"; }).description")
    done = farm.realise([description], "far")
    assert done.returncode == 0, done.stderr
    assert "image" in farm.built("far")


def test_a_builder_that_dies_costs_a_retry(nix: Nix, farm: Farm, salt: str) -> None:
    """In the middle of a build. What was made before counts, nothing half made does, and another machine takes over."""
    farm.start("mortal", "other")
    (farm.folder / "mortal/dies").write_text(SIGN)
    (top,) = derivations(nix, salt, "image")
    layers = [path for path in ours(nix, top) if path.endswith("-layers-gz.drv")]
    assert len(layers) == len(ROOTS)
    done = farm.realise(layers, "mortal")
    assert done.returncode == 0, done.stderr

    done = farm.realise([top], "mortal")
    assert done.returncode != 0
    assert SIGN in done.stderr and (farm.folder / "mortal/gone").exists(), "it died while it built"
    assert not [path for path in outputs(nix, top) if Path(path).exists()]
    (root_layer,) = (path for path in ours(nix, top) if path.endswith("-root-layer.drv"))
    assert not set(outputs(nix, root_layer)) & farm.paths("mortal")
    nix.run("nix-store", "--verify", "--check-contents", "--store", str(farm.folder / "mortal/store"))

    done = farm.realise([top], "mortal", "other")
    assert done.returncode == 0, done.stderr
    assert [name for name in farm.built("other") if not name.startswith("dockertools-py")] == [
        *("docker-image-app.tar", "image", "root-layer", "root-layer-gz")
    ]
    nix.run("nix-store", "--realise", "--check", root_layer, top, "--builders", "")
