"""mkTarball's tar by itself: `docker import` and `podman import` make an image of it that runs."""

import pytest

from tests.clients.available import ENGINES, engine_parameters
from tests.clients.engines.docker import Docker
from tests.clients.engines.engine import Engine
from tests.clients.engines.podman import Podman
from tests.conftest import Nix

OTHERS = tuple(name for name in ENGINES if not name.startswith(("docker", "podman")))


@pytest.mark.parametrize("compressor", ["gz", "none"])
@pytest.mark.parametrize("engine", engine_parameters(without=OTHERS), indirect=True)
def test_an_imported_tarball_runs(empty_engine: Engine, nix: Nix, compressor: str) -> None:
    assert isinstance(empty_engine, Docker | Podman)
    tar = nix.build(f'mkTarball {{ contents = [ bash coreutils ]; compressor = "{compressor}"; }}')
    empty_engine.namespace.run(empty_engine.client("import", str(tar), "localhost/tarball:1"))
    assert empty_engine.run("localhost/tarball:1", ["/bin/bash", "-c", "echo $BASH; exec id -u"]) == "/bin/bash\n0\n"
    assert empty_engine.run("localhost/tarball:1", ["/bin/id", "-u"], user="1000:1000") == "1000\n"
