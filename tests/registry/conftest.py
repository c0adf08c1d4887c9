"""Registries for the tests: our own with its rules, and those that others wrote."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.oracle.image import write_folder
from tests.registry.images import image, layout_files
from tests.registry.programs import copy, docker_registry, make_authority, running
from tests.registry.served import Rules, served


@pytest.fixture
def rules() -> Rules:
    return Rules()


@pytest.fixture
def host(rules: Rules) -> Iterator[str]:
    """Where `rules` are obeyed, over plain http."""
    with served(rules) as address:
        yield address


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Certificate of the authority; certificate and key of 127.0.0.1."""
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image that real registries are filled with, as OCI layout."""
    return write_folder(tmp_path_factory.mktemp("image") / "layout", layout_files(image("real")))


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory, layout: Path) -> Iterator[str]:
    """Debian's docker-registry, with `team/app:1`."""
    folder = tmp_path_factory.mktemp("docker-registry")
    with running(folder, docker_registry(folder)) as address:
        copy(f"oci:{layout}", f"docker://{address}/team/app:1", "--dest-tls-verify=false")
        yield address
