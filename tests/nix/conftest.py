"""What the tests of the Nix functions share."""

import shutil
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.conftest import Nix
from tests.nix.building import Build, Outputs, evaluate


@pytest.fixture(scope="session")
def build_all(nix: Nix) -> Build:
    """Builds many expressions with one evaluation and one run of Nix, since both cost more than a small build."""

    def build(expressions: Mapping[str, str], prelude: str = "") -> Outputs:
        paths = evaluate(nix, expressions, prelude)
        derivations = sorted({derivation for derivation, _ in paths.values()})
        nix.run("nix-store", "--realise", "--keep-going", "--max-jobs", "2", *derivations, check=False)
        return Outputs(paths)

    return build


@pytest.fixture
def salt() -> str:
    """A text that was never in a store before: what is made of it must be built."""
    return uuid.uuid4().hex


@pytest.fixture
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty Nix store, for what must not be done to the machine's own."""
    folder = tmp_path_factory.mktemp("store")
    yield folder
    subprocess.run(["chmod", "-R", "u+w", folder], check=True)
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def flake(nix: Nix, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What of the checkout a flake needs: as a path, all of it would be copied to the store, .cache and .git too."""
    folder = tmp_path_factory.mktemp("flake")
    for name in ("nix", "dockertools_py", "examples", "templates"):
        shutil.copytree(nix.checkout / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("default.nix", "flake.nix"):
        shutil.copy(nix.checkout / name, folder)
    if (nix.checkout / "flake.lock").exists():
        shutil.copy(nix.checkout / "flake.lock", folder)
    return folder
