"""What exportImage makes of an image is what an engine exports of its container."""

import random
import subprocess
from pathlib import Path

import pytest

from tests.clients.engines.docker import Docker
from tests.clients.engines.engine import Engine
from tests.clients.engines.podman import Podman
from tests.clients.handmade import HandmadeImage
from tests.conftest import Nix
from tests.oracle.stacks import StackOnDisk, seen, unpack

OF_ENGINES = {".dockerenv", "dev", "etc", "proc", "run", "sys"}
"""What they put into every container; the stacks have no such names."""
SEEDS = range(10)
with_engine = pytest.mark.parametrize(
    "engine", [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in ("docker", "podman")], indirect=True
)


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Archives of images with random layers, below each other as a container has them."""
    found = []
    for seed in SEEDS:
        folder = tmp_path_factory.mktemp("stack")
        (folder / "disk").mkdir()
        stack, generator = StackOnDisk(folder / "disk", []), random.Random(seed)
        for _ in range(4):
            stack.add(generator, all_parents=True)
        found.append(HandmadeImage(name=f"stack-{seed}", layers=stack.layers).write(folder / "image.tar"))
    return found


@pytest.fixture(scope="module")
def ours(archives: list[Path], nix: Nix) -> list[Path]:
    return nix.build_all(f"map (fromImage: exportImage {{ inherit fromImage; }}) [ {' '.join(map(str, archives))} ]")


def exported(engine: Engine, archive: Path) -> bytes:
    """The root file system of a container that was never started."""
    assert isinstance(engine, (Docker, Podman))
    (reference,) = engine.load(archive)
    container = engine.namespace.run(engine.client("create", "--network=none", reference)).split()[-1]
    try:
        return engine.namespace.attempt(engine.client("export", container)).stdout
    finally:
        engine.namespace.run(engine.client("rm", "--force", container))


def tree(tar: bytes, folder: Path) -> dict[str, tuple[object, ...]]:
    """What is unpacked; engines export no extended attributes but capabilities."""
    folder.mkdir()
    unpack(tar, folder)
    found = seen(folder)
    return {name: (*one[:6], *one[7:]) for name, one in found.items() if name.partition("/")[0] not in OF_ENGINES}


@with_engine
def test_as_the_engine_exports_it(empty_engine: Engine, archives: list[Path], ours: list[Path], tmp_path: Path) -> None:
    for number, archive in enumerate(archives):
        theirs = tree(exported(empty_engine, archive), tmp_path / f"theirs-{number}")
        assert theirs, "an empty container"
        assert tree(ours[number].read_bytes(), tmp_path / f"ours-{number}") == theirs


@with_engine
def test_a_delta_shows_what_the_second_image_shows(
    empty_engine: Engine, archives: list[Path], ours: list[Path], nix: Nix, tmp_path: Path
) -> None:
    """Whiteouts, and files in the place of directories and the reverse, as the engine's overlay has them."""
    pairs = list(zip(archives, archives[1:], ours[1:], strict=False))
    deltas = " ".join(f"(mkDelta {{ fromImage = {one}; toImage = {two}; }})" for one, two, _ in pairs)
    for number, (delta, (_, _, wanted)) in enumerate(zip(nix.build_all(f"[ {deltas} ]"), pairs, strict=True)):
        shown = tree(exported(empty_engine, delta), tmp_path / f"delta-{number}")
        expected = tree(wanted.read_bytes(), tmp_path / f"wanted-{number}")
        # Times are no difference for mkDelta.
        assert {name: one[:-1] for name, one in shown.items()} == {name: one[:-1] for name, one in expected.items()}


@with_engine
def test_images_of_ours(empty_engine: Engine, nix: Nix, tmp_path: Path) -> None:
    image = """build {
      name = "exported"; config.Cmd = [ "/bin/bash" ]; contents = [ bash ]; copyToRoot = [ (writeTextDir "opt/text" "text") ];
      extraCommands = "mkdir -p opt; ln opt/text opt/again; chmod 0751 opt/text";
    }"""
    archive, tar, flat = nix.build_all(
        f"let image = {image}; in [ image (exportImage {{ fromImage = image; }})"
        ' (flattenImage { fromImage = image; name = "flat"; }) ]'
    )
    theirs = tree(exported(empty_engine, archive), tmp_path / "theirs")
    assert {"opt/again", "bin/bash"} <= theirs.keys()
    assert tree(tar.read_bytes(), tmp_path / "ours") == theirs
    assert tree(exported(empty_engine, flat), tmp_path / "flat") == theirs
    subprocess.run(["chmod", "-R", "u+w", tmp_path], check=True)
