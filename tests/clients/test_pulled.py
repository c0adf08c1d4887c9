"""Images from a registry run in every engine, themselves and as the base of others, with the id that they have elsewhere."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.archive import read_images
from tests.clients.available import engine_parameters
from tests.clients.engines.engine import Engine
from tests.conftest import Nix
from tests.registry.images import Content
from tests.registry.pulling import client
from tests.registry.served import Rules, served

BASE = '(build { name = "base"; tag = "1"; contents = [ bash ]; config.Env = [ "WHO=registry" ]; }).oci'
# What nixpkgs' functions put on top: a script's files, with owners
PLAIN = """buildImage {
  name = "plain"; tag = "1"; compressor = "none"; fromImage = BASE; copyToRoot = writeTextDir "share/text" "on top";
  runAsRoot = "mkdir -m 700 /data; cat /share/text > /data/text; chown -R 5:6 /data";
  config = { User = "5:6"; Cmd = [ "/bin/bash" "-c" "SCRIPT" ]; };
}"""
LAYERED = """buildLayeredImage {
  name = "layered"; tag = "1"; compressor = "none"; fromImage = BASE; contents = [ (writeTextDir "share/text" "on top") ];
  fakeRootCommands = "mkdir -m 700 data; cp -L share/text data; chown -R 5:6 data";
  config = { User = "5:6"; Cmd = [ "/bin/bash" "-c" "SCRIPT" ]; };
}"""
# Nobody but 5 reads and writes there.
SCRIPT = "read -r text < /data/text; echo $text of $WHO, by $UID; echo > /data/new && echo written"


@dataclass(frozen=True)
class Pulled:
    """Archives of an image that was pulled and of some on top of it; and its id in the registry."""

    archive: Path
    child: Path
    plain: Path
    layered: Path
    image_id: str


def content_of(layout: Path) -> Content:
    """What a registry holds after an OCI layout was pushed to it as `1`."""
    content = Content()
    for blob in (layout / "blobs/sha256").iterdir():
        content.blobs[f"sha256:{blob.name}"] = blob.read_bytes()
    [entry] = json.loads((layout / "index.json").read_text())["manifests"]
    content.add(content.blobs[entry["digest"]], entry["mediaType"], "1")
    return content


@pytest.fixture(scope="module")
def pulled(nix: Nix, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pulled]:
    lock = tmp_path_factory.mktemp("lock") / "base.lock.json"
    with served(Rules(content_of(nix.build(BASE)))) as host:
        lock.write_bytes(client(f"http://{host}/team/base:1").lock().to_bytes())
        base = f'pullImage {{ lock = {lock}; finalImageName = "pulled"; }}'
        text = '(writeTextDir "share/text" "on top")'
        child = f'build {{ name = "child"; tag = "1"; fromImage = {base}; contents = [ {text} ]; }}'
        plain = PLAIN.replace("BASE", base).replace("SCRIPT", SCRIPT)
        own = called_as_in_nixpkgs(nix, f"http://{host}/team/base", lock)
        layered = LAYERED.replace("BASE", own).replace("SCRIPT", SCRIPT)
        paths = nix.build_all(f"[ ({base}) ({child}) ({plain}) ({layered}) ]")
    yield Pulled(*paths, json.loads(lock.read_text())["config"]["digest"])


def called_as_in_nixpkgs(nix: Nix, name: str, lock: Path) -> str:
    """`pullImage` by its arguments in nixpkgs, with the hash that Nix names when it gets none."""
    digest = json.loads(lock.read_text())["manifest"]["digest"]
    call = f'pullImage {{ imageName = "{name}"; imageDigest = "{digest}"; finalImageName = "pulled"; HASH }}'
    found = re.search(r"got: +(sha256-\S+)", nix.failure(call.replace("HASH", 'hash = "";'), build=True))
    assert found
    return call.replace("HASH", f'hash = "{found[1]}";')


@pytest.mark.parametrize("engine", engine_parameters(), indirect=True)
def test_runs(empty_engine: Engine, pulled: Pulled) -> None:
    [image] = read_images(pulled.archive)
    assert image.image_id == pulled.image_id
    [reference] = empty_engine.load(pulled.archive)
    assert empty_engine.run(reference, ["/bin/bash", "-c", "echo from $WHO"]) == "from registry\n"
    assert empty_engine.inspect(reference).diff_ids == image.diff_ids
    [child] = empty_engine.load(pulled.child)
    script = "read -r text < /share/text; echo $text of $WHO"
    assert empty_engine.run(child, ["/bin/bash", "-c", script]) == "on top of registry\n"


@pytest.mark.parametrize(
    "engine", [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in ("docker", "podman")], indirect=True
)
def test_under_nixpkgs_functions(empty_engine: Engine, pulled: Pulled) -> None:
    for archive in (pulled.plain, pulled.layered):
        [reference] = empty_engine.load(archive)
        assert empty_engine.run(reference) == "on top of registry, by 5\nwritten\n"
