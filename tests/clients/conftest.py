"""Fixtures: engines that run once for all their tests, and images that are built once for all workers."""

import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.clients.archive import ArchivedImage, read_images
from tests.clients.available import ENGINES
from tests.clients.engines.engine import Engine
from tests.clients.images import BuiltImage, Images
from tests.clients.need import need, need_root


@dataclass(frozen=True)
class Loaded:
    """An image in an engine: `references` are the engine's own, in the order of the images in the archive."""

    engine: Engine
    image: BuiltImage
    references: list[str]
    archived: list[ArchivedImage]


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Return the running engine that the test's parameter names."""
    need_root()
    engine = ENGINES[request.param](tmp_path_factory.mktemp(request.param))
    need("unshare", "nsenter")
    need(*engine.programs, path=engine.path)
    try:
        engine.start()
        yield engine
    finally:
        engine.stop()


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Images:
    """Return the images that Nix builds."""
    need("nix-build", "nix-instantiate", path=os.environ["PATH"])
    own = tmp_path_factory.getbasetemp()
    # The folder above that of a worker of xdist is one for all workers of this run, and for no other run.
    return Images((own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "images")


@pytest.fixture(scope="session")
def holding() -> dict[Engine, Loaded]:
    """What each engine holds at the moment: several tests look at one loaded image."""
    return {}


@pytest.fixture
def empty_engine(engine: Engine, holding: dict[Engine, Loaded]) -> Engine:
    """Return the running engine without any image."""
    holding.pop(engine, None)
    engine.reset()
    return engine


@pytest.fixture(scope="session")
def image(request: pytest.FixtureRequest, images: Images) -> BuiltImage:
    """Return the image that the test's parameter names; pytest brings the tests with one image together."""
    return images.get(request.param)


@pytest.fixture
def loaded(engine: Engine, image: BuiltImage, holding: dict[Engine, Loaded]) -> Loaded:
    """Return the image loaded into the engine, which holds nothing else."""
    if engine not in holding or holding[engine].image != image:
        holding.pop(engine, None)
        engine.reset()
        holding[engine] = Loaded(engine, image, engine.load(image.archive), read_images(image.archive))
    return holding[engine]
