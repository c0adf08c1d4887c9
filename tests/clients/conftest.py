"""Fixtures: engines that run once for all their tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.available import ENGINES
from tests.clients.engines.engine import Engine
from tests.clients.need import need, need_root


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Return the running engine that the test's parameter names."""
    need_root()
    engine = ENGINES[request.param](tmp_path_factory.mktemp(request.param))
    need("unshare", "nsenter", *engine.programs, path=engine.path)
    try:
        engine.start()
        yield engine
    finally:
        engine.stop()


@pytest.fixture
def empty_engine(engine: Engine) -> Engine:
    """Return the running engine without any image."""
    engine.reset()
    return engine


def engine_parameters(*names: str) -> list[object]:
    """Parameters for the fixture `engine`: with `--dist loadgroup`, one worker runs all tests of an engine."""
    return [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in names or ENGINES]
