"""A machine with an empty store and a cache: what it takes from there to push an image to a registry, or to load it."""

import json
import os
import subprocess
import tarfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.clients.need import need_root
from tests.conftest import Nix, wrapped
from tests.engines.fake_docker import State, fake_docker
from tests.nix.building import NIX_COMMAND, names
from tests.nix.caching import said, served
from tests.registry.programs import docker_registry, running

pytestmark = pytest.mark.xdist_group("nix-farm")

IMAGE = """
  root = name: text: writeTextDir "etc/${name}" "SALT ${text}";
  image = last: build {
    name = "app"; tag = "1"; contents = [ (root "r1" "1") (root "last" last) ]; layers = [ hello ];
    config.Cmd = [ "${hello}/bin/hello" ];
  };
"""
LAST = ["last-layers-gz", "root-layer-gz"]
"""What is sent of an image whose last root changed."""


ENTER = """
  for pool in userpool userpool2; do
    mkdir -p "$0/nix/var/nix/$pool" /nix/var/nix/$pool
    mount --bind /nix/var/nix/$pool "$0/nix/var/nix/$pool"
  done
  mount --rbind "$0/nix" /nix
  exec "$@"
"""
"""Both have the same build users, and a Nix that begins a build ends what its user still does: so they share the locks."""


@dataclass(frozen=True)
class Machine:
    """A machine with a store of its own at /nix, and a cache."""

    nix: Nix
    folder: Path
    cache: str
    key: str

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a program there."""
        settings = f"substituters = {self.cache}\ntrusted-public-keys = {self.key}\n"
        environment = os.environ | {"HOME": str(self.folder), "NIX_CONFIG": f"{os.environ['NIX_CONFIG']}\n{settings}"}
        return self.nix.run("unshare", "--mount", "sh", "-ec", ENTER, str(self.folder), *command, check=check, env=environment)

    def build(self, expression: str) -> str:
        """The output of an expression, evaluated and realised there."""
        return self.run("nix-build", "--no-out-link", "-E", wrapped(expression)).stdout.strip()

    def tell(self, script: str, *words: str) -> list[dict[str, Any]]:
        """What a script tells of a push or a load, its events in order."""
        return [json.loads(line) for line in self.run(script, "--json", *words).stdout.splitlines()]


@dataclass(frozen=True)
class Farm:
    """A signed cache that a first machine has filled, what others ask it for, a registry, and the images' expressions."""

    nix: Nix
    cache: str
    key: str
    asked: list[str]
    registry: str
    prelude: str
    filled: str
    """The cache as `nix copy` writes it."""

    def expression(self, last: str, attribute: str) -> str:
        return f"let {self.prelude} in (image {last}).{attribute}"

    def taken(self) -> list[str]:
        """The names of what was fetched from the cache since this was asked last; each is fetched once."""
        paths = [path for path in self.asked if path.startswith("/nar/")]
        assert len(paths) == len(set(paths))
        infos = [path for path in self.asked if path.endswith(".narinfo")]
        self.asked.clear()
        urls = {}
        for path in infos:
            try:
                with urllib.request.urlopen(self.cache + path) as answer:
                    fields = dict(line.split(": ", 1) for line in answer.read().decode().splitlines())
                    urls["/" + fields["URL"]] = fields["StorePath"]
            except urllib.error.HTTPError:
                continue
        self.asked.clear()
        return names({urls[path] for path in paths})

    def image_id(self, last: str) -> str:
        """Of the image, which is the digest of its config."""
        archive = self.nix.build(self.expression(last, "archive"))
        with tarfile.open(archive) as tar:
            listed = tar.extractfile("manifest.json")
            assert listed
            return str(json.load(listed)[0]["Config"]).removeprefix("blobs/").replace("/", ":")

    def digest(self, last: str) -> str:
        """Of the manifest that the image has as an OCI layout."""
        index = json.loads((self.nix.build(self.expression(last, "oci")) / "index.json").read_text())
        return str(index["manifests"][0]["digest"])


@pytest.fixture(scope="module")
def farm(nix: Nix, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    need_root()
    folder = tmp_path_factory.mktemp("pushing")
    nix.run("nix-store", "--generate-binary-cache-key", "farm-1", str(folder / "secret"), str(folder / "public"))
    prelude = IMAGE.replace("SALT", os.urandom(16).hex())
    built = nix.build_all(
        f'let {prelude} in map (last: with image last; [ push lazyPush lazyLoad lazyPush.layers ]) [ "1" "2" ]'
    )
    to = f"file://{folder}/cache?secret-key={folder}/secret&compression=none"
    nix.run(*NIX_COMMAND, "copy", "--to", to, *map(str, built))
    with served(folder / "cache") as (url, asked), running(folder, docker_registry(folder)) as registry:
        yield Farm(nix, url, (folder / "public").read_text().strip(), asked, f"http://{registry}", prelude, to)


@pytest.fixture
def machine(farm: Farm, store: Path) -> Machine:
    """Empty, but for the derivations of packages: those of the embedded set take a while to evaluate."""
    derivations = farm.nix.instantiate(f"let {farm.prelude} in [ hello ]")
    packages = [path for path in derivations if path.endswith(".drv")]
    farm.nix.run(*NIX_COMMAND, "copy", "--no-check-sigs", "--derivation", "--to", str(store), *packages)
    farm.asked.clear()
    return Machine(farm.nix, store, farm.cache, farm.key)


def closure(nix: Nix, *paths: Path | str) -> set[str]:
    return set(nix.run("nix-store", "-qR", *map(str, paths)).stdout.split())


def test_what_the_registry_has_is_not_fetched(nix: Nix, farm: Farm, machine: Machine) -> None:
    """One machine pushed a version; another, with nothing of the next one, fetches and sends what changed."""
    subprocess.run([nix.build(farm.expression('"1"', "push")), f"{farm.registry}/some/app:1"], check=True)
    scripts = [machine.build(farm.expression(last, "lazyPush")) for last in ('"1"', '"2"')]
    own = closure(nix, *scripts)
    assert farm.taken() == names(own), "python and the program"
    assert not [name for name in names(own) if name.startswith(("hello", "last", "r1", "root-layer"))]

    events = machine.tell(scripts[0], f"{farm.registry}/some/app:1")
    assert events[-1]["digest"] == farm.digest('"1"')
    assert events[-1]["layersSent"] == 0 and farm.taken() == []
    events = machine.tell(scripts[1], f"{farm.registry}/some/app:1")
    assert events[-1]["digest"] == farm.digest('"2"')
    assert events[-1]["layersSent"] == len(LAST) and farm.taken() == LAST


def test_an_engine_gets_what_it_lacks(
    nix: Nix, farm: Farm, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of its own store the machine has nothing of the image, not even what the engine has."""
    scripts = [machine.build(farm.expression(last, "lazyLoad")) for last in ('"1"', '"2"')]
    assert farm.taken() == names(closure(nix, *scripts)), "python and the program"
    with fake_docker(tmp_path, "docker-26") as (state, url):
        monkeypatch.setenv("DOCKER_HOST", url)
        events = machine.tell(scripts[0])
        assert (events[0]["event"], events[-1]["id"]) == ("said", farm.image_id('"1"'))
        fetched = farm.taken()
        assert len(fetched) > len(LAST) and all("layer" in name and name.endswith("-gz") for name in fetched)
        for layers, taken in ((len(LAST), LAST), (0, [])):
            events = machine.tell(scripts[1])
            assert (events[-1]["layersSent"], events[-1]["id"]) == (layers, farm.image_id('"2"'))
            assert farm.taken() == taken
        assert set(state.images) == {farm.image_id(last) for last in ('"1"', '"2"')}


def test_all_is_fetched_where_the_engine_loses_what_it_had(
    nix: Nix, farm: Farm, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was left out is fetched before all is sent once more."""
    with fake_docker(tmp_path, "docker-26") as (state, url):
        monkeypatch.setenv("DOCKER_HOST", url)
        subprocess.run([nix.build(farm.expression('"1"', "load"))], check=True, capture_output=True)
        script = machine.build(farm.expression('"2"', "lazyLoad"))
        farm.asked.clear()

        def lose(state: State) -> None:
            state.before_load = lambda _: None
            state.remove("docker.io/library/app:1")

        state.before_load = lose
        events = machine.tell(script)
        said = [event["text"] for event in events if event["event"] == "said"]
        assert [text.startswith("fetching ") for text in said] == [True, False, True]
        assert said[1].endswith("; sending all layers")
        assert events[-1]["layersSent"] == events[-1]["layers"] > len(LAST)
        assert set(state.images) == {farm.image_id('"2"')}
        fetched = farm.taken()
        assert set(LAST) < set(fetched) and all("layer" in name and name.endswith("-gz") for name in fetched)


def test_a_load_that_no_cache_can_feed(
    farm: Farm, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = machine.build(farm.expression('"1"', "lazyLoad"))
    with fake_docker(tmp_path, "docker-26") as (state, url):
        monkeypatch.setenv("DOCKER_HOST", url)
        done = machine.run("env", "NIX_CONFIG=substituters =", script, check=False)
        assert (done.returncode, done.stdout) == (1, "")
        *_, last = done.stderr.splitlines()
        assert last.startswith("dockertools-py load: /nix/store/")
        assert "neither here nor in a cache that Nix asks (" in last
        assert last.endswith("or use `image.load`, which has what it needs")
        # It is there and not trusted: Nix says so in a warning, and then that it cannot build.
        done = machine.run("env", f"NIX_CONFIG=substituters = {farm.cache}\ntrusted-public-keys =", script, check=False)
        assert "in a cache that Nix asks (" in done.stderr and "trusted-public-keys" in done.stderr.splitlines()[-1]
        # The engine was asked, and sent nothing.
        assert state.requests and not state.uploads


def test_a_new_registry_gets_the_blobs_of_the_cache(nix: Nix, farm: Farm, machine: Machine) -> None:
    """As they are: no store path of the image is fetched, and nothing is compressed."""
    script = machine.build(farm.expression('"2"', "lazyPush"))
    farm.asked.clear()
    events = machine.tell(script, f"{farm.registry}/new/app:1", f"{farm.registry}/newer/app:1")
    assert events[-1]["digest"] == farm.digest('"2"')
    listed = nix.build(farm.expression('"2"', "lazyPush.layers"))
    blobs = closure(nix, listed) - {str(listed)}
    assert farm.taken() == names(blobs)
    assert all(name.endswith("-layers-gz") or name == "root-layer-gz" for name in names(blobs))


def test_uncompressed_layers_are_made_of_store_paths(nix: Nix, farm: Farm, machine: Machine) -> None:
    plain = f"(let {farm.prelude} in image \"2\").override {{ compressor = \"none\"; }}"
    built = nix.build_all(f"with {plain}; [ lazyPush lazyPush.layers ]")
    nix.run(*NIX_COMMAND, "copy", "--to", farm.filled, *map(str, built))
    script = machine.build(f"({plain}).lazyPush")
    tools = set(farm.taken())
    machine.tell(script, f"{farm.registry}/plain/app:1")
    in_image = closure(nix, built[1]) - {str(built[1])}
    assert set(farm.taken()) == set(names(in_image)) - tools >= {"last", "r1"}


def test_an_index(
    nix: Nix, farm: Farm, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each layer as the index's own layout has it, in gzip or in zstd; no store path of the images is fetched."""
    index = f"""(let {farm.prelude} in buildIndex {{ name = "app"; images = {{
      "linux/amd64" = (image "2").override {{ architecture = "amd64"; }};
      "linux/arm64" = (image "3").override {{ architecture = "arm64"; compressor = "zstd"; }};
    }}; }})"""
    *built, layout = nix.build_all(f"with {index}; [ lazyPush lazyPush.layers lazyLoad oci ]")
    nix.run(*NIX_COMMAND, "copy", "--to", farm.filled, *map(str, built))
    script, load = (machine.build(f"{index}.{name}") for name in ("lazyPush", "lazyLoad"))
    farm.asked.clear()
    # An engine gets the image for it, and no layer of another one is fetched.
    with fake_docker(tmp_path, "docker-26") as (state, url):
        monkeypatch.setenv("DOCKER_HOST", url)
        machine.tell(load, "--dry-run")
        assert farm.taken() == []
        assert machine.tell(load)[-1]["id"] == farm.image_id('"2"')
        loaded = farm.taken()
        assert {name.rpartition("-")[2] for name in loaded} == {"gz"}
        assert set(state.images) == {farm.image_id('"2"')}
    events = machine.tell(script, f"{farm.registry}/index/app:1")
    top = json.loads((layout / "index.json").read_text())["manifests"][0]
    assert events[-1]["digest"] == top["digest"]
    pushed = farm.taken()
    assert {name.rpartition("-")[2] for name in pushed} == {"zstd"}
    assert sorted([*loaded, *pushed]) == names(closure(nix, built[1]) - {str(built[1])})


def test_push_fetches_all_that_it_describes(nix: Nix, farm: Farm, machine: Machine) -> None:
    """`push` on an empty machine: the description is in the cache, so no layer is read to make it again."""
    script = nix.build(farm.expression('"2"', "push"))
    done = machine.run("nix-build", "--no-out-link", "-E", wrapped(farm.expression('"2"', "push")))
    assert done.stdout.strip() == str(script)
    assert said(done, "built") == []
    assert farm.taken() == names(closure(nix, script))
    events = machine.tell(str(script), f"{farm.registry}/whole/app:1")
    assert events[-1]["digest"] == farm.digest('"2"')
    assert farm.taken() == []


def test_what_no_cache_has(nix: Nix, farm: Farm, machine: Machine) -> None:
    script = machine.build(farm.expression('"1"', "lazyPush"))
    name = f"{farm.registry}/gone/app:1"
    offline = ["env", "NIX_CONFIG=substituters ="]
    without_nix = ["env", "PATH=/nowhere"]
    for command, why in (
        (offline, "neither here nor in a cache that Nix asks ("),
        (without_nix, "not here, and there is no nix-store in PATH that could fetch it"),
    ):
        done = machine.run(*command, script, name, check=False)
        assert (done.returncode, done.stdout) == (1, "")
        *_, last = done.stderr.splitlines()
        assert last.startswith("dockertools-py push: /nix/store/") and why in last
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{farm.registry}/v2/gone/app/manifests/1")
