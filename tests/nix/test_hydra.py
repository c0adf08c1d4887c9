"""nix/hydra.nix: the jobs as Hydra and nix-eval-jobs see them, in restricted and in pure evaluation; and `release` built."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Nix
from tests.nix.building import NIX_COMMAND
from tests.nix.stand_in import write_stand_in

pytestmark = pytest.mark.xdist_group("nix-hydra")

SYSTEMS = ["x86_64-linux", "aarch64-linux"]
EXAMPLES = ["bash", "bash-python", "bash-python-perl", "hello", "just-python", "merged", "nginx", "nonroot", "redis"]

# What nix-eval-jobs says of each job, for a whole tree of them
WALK = """
  jobs:
  let
    walk = path: value:
      if value.type or null == "derivation" then [ {
        attr = builtins.concatStringsSep "." path;
        attrPath = path;
        inherit (value) name system drvPath meta;
        outputs.out = value.outPath;
        constituents = map (job: job.drvPath) (value.constituents or [ ]);
        isAggregate = value._hydraAggregate or false;
      } ]
      else builtins.concatLists (builtins.attrValues (builtins.mapAttrs (name: walk (path ++ [ name ])) value));
  in walk [ ] jobs
"""


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_stand_in(tmp_path_factory.mktemp("hydra") / "nixpkgs")


def evaluated(nix: Nix, nixpkgs: Path, *options: str, systems: list[str] | None = None) -> list[dict[str, Any]]:
    chosen = "" if systems is None else f"supportedSystems = [ {' '.join(map(json.dumps, systems))} ];"
    body = f"({WALK}) (import {nix.checkout}/nix/hydra.nix {{ nixpkgs = {nixpkgs}; {chosen} }})"
    command = ["nix-instantiate", "--eval", "--strict", "--json", "--read-write-mode", *options, "-E", body]
    value: list[dict[str, Any]] = json.loads(nix.run(*command).stdout)
    return value


@pytest.fixture(scope="module")
def jobs(nix: Nix, stand_in: Path) -> list[dict[str, Any]]:
    return evaluated(nix, stand_in)


def test_every_example_has_its_jobs_on_every_system(jobs: list[dict[str, Any]]) -> None:
    wanted = [
        f"{name}.{job}.{system}" for name in EXAMPLES for job in ("archive", "layout", "check") for system in SYSTEMS
    ] + [f"dockertools-py.program.{system}" for system in SYSTEMS]
    assert sorted(job["attr"] for job in jobs) == sorted([*wanted, "release"])
    for job in jobs[:-1]:
        if job["attr"] != "release":
            assert job["system"] == job["attrPath"][-1]
    assert len({job["drvPath"] for job in jobs}) == len(jobs), "no job is another one's"


def test_meta_is_complete(jobs: list[dict[str, Any]]) -> None:
    for job in jobs:
        meta = job["meta"]
        assert set(meta) >= {"description", "license", "maintainers", "platforms", "timeout"}, job["attr"]
        assert meta["license"]["spdxId"] == "MIT" and meta["platforms"] == SYSTEMS
        assert meta["description"][0].isupper() and not meta["description"].endswith(".")


def test_release_is_an_aggregate_of_all_jobs(jobs: list[dict[str, Any]]) -> None:
    (release,) = (job for job in jobs if job["isAggregate"])
    assert release["attr"] == "release"
    assert sorted(release["constituents"]) == sorted(job["drvPath"] for job in jobs if job is not release)


def test_restricted_evaluation(nix: Nix, stand_in: Path, jobs: list[dict[str, Any]]) -> None:
    """Hydra's own: nothing but the inputs can be read, and nothing is built to evaluate."""
    options = ["--option", "restrict-eval", "true", "--option", "allow-import-from-derivation", "false"]
    inputs = ["-I", f"dockertools_py={nix.checkout}", "-I", f"nixpkgs={stand_in}"]
    assert evaluated(nix, stand_in, *options, *inputs) == jobs
    done = nix.run(
        *("nix-instantiate", "--eval", *options, "-I", f"dockertools_py={nix.checkout}"),
        *("-E", f"import {stand_in} {{ }}"),
        check=False,
    )
    assert done.returncode != 0 and "restricted" in done.stderr, "the option does what this test relies on"


def test_nixpkgs_is_found_where_nobody_names_it(nix: Nix, stand_in: Path, jobs: list[dict[str, Any]]) -> None:
    body = f"({WALK}) (import {nix.checkout}/nix/hydra.nix {{ }})"
    command = [
        "nix-instantiate",
        "--eval",
        "--strict",
        "--json",
        "--read-write-mode",
        "-I",
        f"nixpkgs={stand_in}",
        "-E",
        body,
    ]
    assert json.loads(nix.run(*command).stdout) == jobs


def test_fewer_systems(nix: Nix, stand_in: Path, jobs: list[dict[str, Any]]) -> None:
    (system, _) = SYSTEMS
    fewer = evaluated(nix, stand_in, systems=[system])
    paths = {job["attr"]: job["drvPath"] for job in jobs}
    assert len(fewer) == len(EXAMPLES) * 3 + 2
    assert all(paths[job["attr"]] == job["drvPath"] for job in fewer if job["attr"] != "release")


def test_jobs_of_the_flake_in_pure_evaluation(
    nix: Nix, stand_in: Path, jobs: list[dict[str, Any]], flake: Path
) -> None:
    """No --impure: all that is looked at are the flake and the package set that it is given."""
    command = [*NIX_COMMAND, "eval", f"path:{flake}#hydraJobs", "--json", "--offline", "--no-write-lock-file"]
    instead = ["--override-input", "nixpkgs", f"path:{stand_in}", "--apply", WALK]
    pure = json.loads(nix.run(*command, *instead, env=os.environ | {"HOME": str(flake.parent)}).stdout)
    assert {job["attr"]: job["drvPath"] for job in pure} == {job["attr"]: job["drvPath"] for job in jobs}


def test_release_is_there_when_all_jobs_are(nix: Nix) -> None:
    given = f"nixpkgs = {nix.checkout}/nix/hostpkgs; supportedSystems = [ builtins.currentSystem ];"
    hydra = f"import {nix.checkout}/nix/hydra.nix {{ {given} }}"
    done = nix.run("nix-build", "--no-out-link", "-E", f"({hydra}).release")
    support = Path(done.stdout.strip()) / "nix-support"
    constituents = [Path(path) for path in (support / "hydra-aggregate-constituents").read_text().split()]
    assert len(constituents) == len(EXAMPLES) * 3 + 1
    assert all(path.exists() for path in constituents)
    assert (support / "hydra-build-products").read_text() == ""
    assert (support / "hydra-release-name").read_text() == "dockertools-py-0.1.0\n"
    checks = [path for path in constituents if path.name.endswith("-check")]
    assert len(checks) == len(EXAMPLES)
    for check in checks:
        reports = (check / "report.txt").read_text().splitlines()
        assert len(reports) == 3 and all(report.endswith(" 0 mismatches") for report in reports), check
        products = (check / "nix-support/hydra-build-products").read_text()
        assert products == f"doc report {check}/report.txt\n"
