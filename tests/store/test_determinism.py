"""Descriptions made in other processes: the same under another time zone, locale, umask, hash seed, Python, more cores."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.formats.images import HASH
from tests.oracle.programs import CHECKOUT, pythons
from tests.oracle.trees import random_tree, write_tree

PROGRAM = """
import json, os, sys
from dockertools_py.pack.layer import PathsSource, RootSource
from dockertools_py.store.describe import describe, describe_all
os.umask(int(sys.argv[1], 8))
workers, *paths = sys.argv[2:]
sources = [PathsSource((path,)) for path in paths] + [PathsSource(tuple(set(paths)))]
layers = describe_all(sources, [1] * len(sources), int(workers))
layers.append(describe(RootSource(tuple(paths[:1]))))
print(json.dumps([[str(layer.diff_id), layer.size, layer.created_by] for layer in layers]))
"""


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("store")
    for seed in range(3):
        write_tree(random_tree(seed), str(folder / f"{HASH}-{seed}"))
    return [str(folder / f"{HASH}-{seed}") for seed in range(3)]


def described(
    paths: list[str], *, python: str = sys.executable, umask: str = "022", workers: int = 1, **environment: str
) -> list[object]:
    """The layers that a process of its own describes, with nothing in its environment but what is given."""
    clean = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", **environment}
    command = [python, "-c", PROGRAM, umask, str(workers), *paths]
    done = subprocess.run(command, env=clean, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))


@pytest.fixture(scope="module")
def expected(paths: list[str]) -> list[object]:
    layers = described(paths)
    assert len(layers) == 5
    return layers


@pytest.mark.parametrize(
    "environment",
    [
        {"TZ": "Asia/Tokyo", "SOURCE_DATE_EPOCH": "1700000000"},
        {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "C.UTF-8"},
        {"LC_ALL": "tr_TR.UTF-8"},
        {"PYTHONHASHSEED": "0"},
        {"PYTHONHASHSEED": "424242"},
        {"HOME": "/nowhere", "USER": "nobody"},
    ],
    ids=lambda environment: "-".join(environment.values()),
)
def test_the_environment_does_not_matter(paths: list[str], expected: list[object], environment: dict[str, str]) -> None:
    assert described(paths, **environment) == expected


@pytest.mark.parametrize("umask", ["000", "077", "777"])
def test_the_umask_does_not_matter(paths: list[str], expected: list[object], umask: str) -> None:
    assert described(paths, umask=umask) == expected


@pytest.mark.parametrize("workers", [2, 5])
def test_the_cores_do_not_matter(paths: list[str], expected: list[object], workers: int) -> None:
    assert described(paths, workers=workers) == expected


def test_the_version_of_python_does_not_matter(paths: list[str], expected: list[object]) -> None:
    found = pythons()
    for python in found.values():
        assert described(paths, python=python, workers=2, PYTHONWARNINGS="error") == expected
    if os.environ.get("CI"):
        assert len(found) >= 2, f"only {', '.join(found)} found: nothing was compared"


def test_a_tree_made_again_is_the_same(paths: list[str], expected: list[object], tmp_path: Path) -> None:
    # Other inodes, times and order of making: the names differ, since they are those of the folder.
    def diff_id(top: str) -> str:
        program = (
            "import os, sys\n"
            "from dockertools_py.model.entry import ROOT\n"
            "from dockertools_py.pack.verified import measure\n"
            "from dockertools_py.store.tar_stream import tar_stream\n"
            "from dockertools_py.store.walk import STORE_MODES, walk\n"
            "print(measure(tar_stream(walk(os.fsencode(sys.argv[1]), b't', STORE_MODES, ROOT, 1)))[0])\n"
        )
        command = [sys.executable, "-c", program, top]
        return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout

    os.mkdir(tmp_path / "again")
    nodes = random_tree(0)
    # Folders first and files last to first, so that readdir lists them in another order.
    folders = [node for node in nodes if node.kind == "directory"]
    others = [node for node in reversed(nodes) if node.kind != "directory"]
    write_tree([*folders, *others], str(tmp_path / "again/tree"))
    for node in nodes:
        if node.kind == "file":  # write_tree draws modes by number
            os.chmod(os.fsencode(tmp_path / "again/tree") + b"/" + node.path, 0o700 if node.executable else 0o600)
    assert diff_id(str(tmp_path / "again/tree")) == diff_id(paths[0])
