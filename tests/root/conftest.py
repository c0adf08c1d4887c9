"""What the tests of scripts as root share."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.root.trees import HERE, scratch


@pytest.fixture(scope="session")
def fileops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The static program that makes system calls as it is told."""
    program = tmp_path_factory.mktemp("fileops") / "fileops"
    subprocess.run(["musl-gcc", "-static", "-O1", "-Wall", "-Werror", "-o", program, HERE / "fileops.c"], check=True)
    return program


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where trees can be made that others than root may enter."""
    with scratch() as path:
        yield path
