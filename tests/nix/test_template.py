"""The flake's template: what a newcomer types, from `nix flake init` to a registry."""

import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.engines.docker import Docker
from tests.clients.need import need, need_root
from tests.conftest import Nix
from tests.nix.building import NIX_COMMAND
from tests.nix.opened import lines, open_image
from tests.nix.stand_in import write_stand_in
from tests.registry.programs import docker_registry, running

pytestmark = pytest.mark.xdist_group("nix-images")

NIXPKGS = "github:NixOS/nixpkgs/nixos-unstable"
GREETING = "Hello from an image made by Nix\n"
ASK = """
import threading, urllib.request
from greeter import Greeter, ThreadingHTTPServer
server = ThreadingHTTPServer(("127.0.0.1", 0), Greeter)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}").read().decode(), end="")
"""


@pytest.fixture(scope="module")
def project(nix: Nix, flake: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new folder after `nix flake init`."""
    top = tmp_path_factory.mktemp("template")
    folder, offline = top / "project", top / "flake"
    folder.mkdir()
    # Even for a template alone a flake's inputs are fetched, and here is no network.
    shutil.copytree(flake, offline)
    text = (offline / "flake.nix").read_text()
    assert text.count(NIXPKGS) == 1
    (offline / "flake.nix").write_text(text.replace(NIXPKGS, f"path:{nix.checkout}/nix/hostpkgs"))
    command = [*NIX_COMMAND, "flake", "init", "--template", f"path:{offline}", "--offline"]
    environment = os.environ | {"HOME": str(top)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def run(nix: Nix, flake: Path, project: Path, *words: str, nixpkgs: str = "", **environment: str) -> str:
    """`nix WORDS…` on the new project, without network; its standard output."""
    verb, *rest = words
    instead = {"nixpkgs": nixpkgs or f"{nix.checkout}/nix/hostpkgs", "dockertools-py": str(flake)}
    options = [word for name, path in instead.items() for word in ("--override-input", name, f"path:{path}")]
    # The embedded set looks for its .cache in the current directory, and reads files of the machine.
    impure = [] if nixpkgs else ["--impure"]
    command = [*NIX_COMMAND, verb, *options, *impure, "--no-write-lock-file", "--offline", *rest]
    return nix.run(*command, env=os.environ | {"PWD": str(nix.checkout), "HOME": str(project.parent), **environment}).stdout


def test_what_is_in_it(project: Path) -> None:
    assert sorted(path.name for path in project.iterdir()) == ["README.md", "flake.nix", "greeter.py", "image.nix"]
    readme = (project / "README.md").read_text()
    for command in ("nix build", "nix run .#load", "nix run .#push"):
        assert command in readme


def test_build(nix: Nix, flake: Path, project: Path) -> None:
    run(nix, flake, project, "build", f"path:{project}", "--out-link", str(project.parent / "result"))
    image = open_image(project.parent / "result")
    assert image.names == ["greeter:1.0"]
    assert image.layers[-1].read("app/greeter.py") == (project / "greeter.py").read_bytes()


def test_evaluation_is_pure_and_for_both_systems(nix: Nix, flake: Path, project: Path) -> None:
    stand_in = write_stand_in(project.parent / "nixpkgs")
    walk = "jobs: builtins.mapAttrs (system: job: [ job.system job.meta ]) jobs.image"
    shown = run(
        *(nix, flake, project, "eval", f"path:{project}#hydraJobs", "--json", "--apply", walk), nixpkgs=str(stand_in)
    )
    assert {system: value[0] for system, value in json.loads(shown).items()} == {
        "x86_64-linux": "x86_64-linux",
        "aarch64-linux": "aarch64-linux",
    }


@pytest.fixture
def docker(tmp_path: Path) -> Iterator[Docker]:
    need_root()
    need(*Docker.programs)
    engine = Docker(tmp_path / "docker")
    try:
        engine.start()
        yield engine
    finally:
        engine.stop()


def test_load(nix: Nix, flake: Path, project: Path, docker: Docker) -> None:
    socket = docker.namespace.seen(Path("/run/docker.sock"))
    loaded = run(nix, flake, project, "run", f"path:{project}#load", DOCKER_HOST=f"unix://{socket}")
    assert list(lines(loaded)) == ["greeter:1.0"]
    config = json.loads(docker.namespace.run(["docker", "image", "inspect", "greeter:1.0"]))[0]["Config"]
    (python, program), options = config["Cmd"], ["--rm", "--network=none", "--env=PYTHONPATH=/app"]
    assert program == "/app/greeter.py"
    assert docker.namespace.run(["docker", "run", *options, "greeter:1.0", python, "-c", ASK]) == GREETING


def test_push(nix: Nix, flake: Path, project: Path, tmp_path: Path) -> None:
    with running(tmp_path, docker_registry(tmp_path)) as registry:
        name = f"http://{registry}/team/greeter:1.0"
        run(nix, flake, project, "run", f"path:{project}#push", "--", name)
        request = urllib.request.Request(f"http://{registry}/v2/team/greeter/manifests/1.0")
        request.add_header("Accept", "application/vnd.oci.image.manifest.v1+json")
        with urllib.request.urlopen(request) as answer:
            manifest = json.load(answer)
    run(nix, flake, project, "build", f"path:{project}", "--out-link", str(tmp_path / "result"))
    assert manifest["config"]["digest"] == open_image(tmp_path / "result").id
