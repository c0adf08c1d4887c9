"""What `image.push` sends to a registry is pulled and run by every engine: an index, Docker's media types, zstd."""

import json
import os
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.available import engine_parameters
from tests.clients.engines.engine import Engine
from tests.conftest import Nix
from tests.registry.programs import crane, docker_registry, need, running

FORMS = {"index": (), "docker": ("--format", "docker"), "zstd": ("--compressor", "zstd")}
WITHOUT_ZSTD = ("docker", "crun", "runc")
"""Docker 20.10, and umoci, which unpacks for those that are only runtimes."""
PRELUDE = """
  # Salted from the bottom: an engine never reads a layer that it has.
  image = form: architecture: build {
    name = "pushed"; inherit architecture; layers = [ (writeText "salt" "%s ${form} ${architecture}") ]; contents = [ bash ];
    config = { Cmd = [ "/bin/bash" "-c" "echo $FORM" ]; Env = [ "FORM=${form} on ${architecture}" ]; };
    mtime = { index = 1; docker = 2; zstd = 3; }.${form};
  };
  index = buildIndex { images = { "linux/amd64" = image "index" "amd64"; "linux/arm64" = image "index" "arm64"; }; };
"""


@dataclass(frozen=True)
class Pushed:
    """A registry with an image a form, and the digest that was told of each."""

    host: str
    digests: dict[str, str]

    def name(self, form: str) -> str:
        return f"{self.host}/team/app:{form}"


@pytest.fixture(scope="module")
def pushed(nix: Nix, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pushed]:
    folder = tmp_path_factory.mktemp("pushed")
    prelude = PRELUDE % uuid.uuid4().hex
    scripts = nix.build_all(
        f'let {prelude} in [ index.push (image "docker" "amd64").push (image "zstd" "amd64").push ]'
    )
    with running(folder, docker_registry(folder)) as host:
        digests = {}
        for (form, options), script in zip(FORMS.items(), scripts, strict=True):
            command = [script, *options, f"http://{host}/team/app:{form}"]
            environment = os.environ | {"HOME": str(folder)}
            done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
            digests[form] = done.stdout.strip().rpartition("@")[2]
        yield Pushed(host, digests)


@pytest.mark.parametrize("engine", engine_parameters(), indirect=True)
def test_pulls_and_runs(empty_engine: Engine, pushed: Pushed, request: pytest.FixtureRequest) -> None:
    no_zstd = request.node.callspec.params["engine"] in WITHOUT_ZSTD
    for form in [form for form in FORMS if form != "zstd" or not no_zstd]:
        reference = empty_engine.pull(pushed.name(form))
        assert empty_engine.run(reference, ["/bin/bash", "-c", "echo $FORM"]) == f"{form} on amd64\n"


@pytest.mark.parametrize("form", FORMS)
def test_skopeo_sees_what_was_told(pushed: Pushed, form: str, tmp_path: Path) -> None:
    command = [need("skopeo"), "inspect", "--raw", "--tls-verify=false", f"docker://{pushed.name(form)}"]
    data = subprocess.run(command, check=True, capture_output=True).stdout
    (tmp_path / "manifest").write_bytes(data)
    digest = subprocess.run([need("skopeo"), "manifest-digest", tmp_path / "manifest"], check=True, capture_output=True)
    assert digest.stdout.decode().strip() == pushed.digests[form]
    if form != "index":
        types = {layer["mediaType"].rpartition(".")[2] for layer in json.loads(data)["layers"]}
        assert types == {"docker": {"gzip"}, "zstd": {"tar+zstd"}}[form]


@pytest.mark.parametrize("form", ["index", "docker"])
def test_crane_validates_what_was_pushed(pushed: Pushed, form: str) -> None:
    done = subprocess.run(
        [crane(), "validate", "--insecure", "--remote", pushed.name(form)], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
