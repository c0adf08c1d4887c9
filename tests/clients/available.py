"""The engines that tests run with, by name."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.clients.engines.containerd import Containerd
from tests.clients.engines.docker import Docker
from tests.clients.engines.engine import SYSTEM_PATH, Engine
from tests.clients.engines.layout import Layout
from tests.clients.engines.podman import Podman

# Programs of newer Debian releases, unpacked beside the system: SUITE/root/usr/sbin/dockerd and so on.
SUITES = Path(__file__).parents[2] / ".cache" / ("newest" if os.environ.get("NEWEST_DOCKER") else "suites")


def suite_path(suite: str) -> str:
    """PATH on which the programs of a suite come first; runc is the system's, as a newer one wants a newer libc."""
    root = SUITES / suite / "root/usr"
    return f"{root / 'sbin'}:{root / 'bin'}:{SYSTEM_PATH}"


def suites_with(program: str) -> list[str]:
    """Names of the suites that have a program, for instance `usr/bin/crane`."""
    return sorted(found.relative_to(SUITES).parts[0] for found in SUITES.glob(f"*/root/{program}"))


def _engines() -> dict[str, Callable[[Path], Engine]]:
    found: dict[str, Callable[[Path], Engine]] = {
        "docker": Docker,
        "podman": Podman,
        "containerd": Containerd,
        "crun": partial(Layout, transport="docker-archive", runtime="crun"),
        "runc": partial(Layout, transport="oci-archive", runtime="runc"),
    }
    for suite in suites_with("usr/sbin/dockerd"):
        found[f"docker-{suite}"] = partial(Docker, path=suite_path(suite))
        found[f"docker-{suite}-containerd"] = partial(Docker, path=suite_path(suite), containerd_store=True)
    if not suites_with("usr/sbin/dockerd"):
        # On a path without the system's programs, so that the tests say what is missing instead of taking the old one.
        found["docker-newer-containerd"] = partial(Docker, path=str(SUITES / "SUITE/root/usr/sbin"))
    for suite in suites_with("usr/bin/containerd"):
        found[f"containerd-{suite}"] = partial(Containerd, path=suite_path(suite))
    return found


ENGINES = _engines()


def engine_parameters(*rest: object, without: tuple[str, ...] = ()) -> list[object]:
    """Parameters for the fixture `engine`, and `rest` for those after it.

    With pytest's `--dist loadgroup`, one worker runs all tests of an engine, so that each engine is started once.
    """
    return [pytest.param(name, *rest, marks=pytest.mark.xdist_group(name)) for name in ENGINES if name not in without]
