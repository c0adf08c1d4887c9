"""A binary cache shares layers: a machine with an empty store takes all that is there, and builds only what is new."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.need import need_root
from tests.conftest import Nix, wrapped
from tests.nix.building import NIX_COMMAND
from tests.nix.caching import said, served

pytestmark = pytest.mark.xdist_group("nix-farm")

IMAGE = """
  root = name: text: writeTextDir "etc/${name}" "SALT ${text}";
  image = { last ? "1" }: build {
    name = "app"; tag = "1"; contents = [ (root "r1" "1") (root "r2" "1") (root "last" last) ]; layers = [ hello ];
  };
"""
NEW = ["docker-image-app.tar", "image", "last", "last-layers", "last-layers-gz", "root-layer", "root-layer-gz"]


@dataclass(frozen=True)
class Cache:
    """A folder that `nix copy` writes, signed."""

    nix: Nix
    folder: Path
    key: str

    def held(self) -> set[str]:
        """The names of the store paths in it."""
        infos = [path.read_text() for path in self.folder.glob("*.narinfo")]
        return {line.partition("-")[2] for info in infos for line in info.splitlines() if line.startswith("StorePath: ")}

    def size(self) -> int:
        """Bytes of all in it."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def image_salt() -> str:
    return os.urandom(16).hex()


def derivation(nix: Nix, salt: str, expression: str) -> str:
    body = f"let {IMAGE.replace('SALT', salt)} in {expression}"
    return nix.run("nix-instantiate", "-E", wrapped(body)).stdout.strip().partition("!")[0]


@pytest.fixture(scope="module")
def cache(nix: Nix, image_salt: str, tmp_path_factory: pytest.TempPathFactory) -> Cache:
    """All that was built for the first version of the image, and what that needed, as a farm's cache holds it."""
    need_root()
    top = derivation(nix, image_salt, "image { }")
    nix.run("nix-store", "--realise", top)
    requisites = nix.run("nix-store", "-qR", "--include-outputs", top).stdout.split()
    folder = tmp_path_factory.mktemp("cache")
    nix.run("nix-store", "--generate-binary-cache-key", "farm-1", str(folder / "secret"), str(folder / "public"))
    to = f"file://{folder}/cache?secret-key={folder}/secret&compression=none"
    outputs = [path for path in requisites if not path.endswith(".drv") and Path(path).exists()]
    nix.run(*NIX_COMMAND, "copy", "--to", to, *outputs)
    return Cache(nix, folder / "cache", (folder / "public").read_text().strip())


class Fresh:
    """A machine with nothing in its store but the derivations to be built, and a cache."""

    def __init__(self, nix: Nix, store: Path, url: str, key: str) -> None:
        self._nix, self._store = nix, store
        self._options = ["--option", "substituters", url, "--option", "trusted-public-keys", key]

    def realise(self, top: str, *options: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        self._nix.run(*NIX_COMMAND, "copy", "--no-check-sigs", "--derivation", "--to", str(self._store), top)
        command = ["nix-store", "--realise", "--store", str(self._store), *self._options, *options, top]
        return self._nix.run(*command, check=check)

    def file(self, path: str) -> Path:
        return self._store / path.removeprefix("/")


def test_only_the_new_layer_is_built(nix: Nix, cache: Cache, image_salt: str, store: Path) -> None:
    """After a change of the last root: by http, its own derivations and those of the image; all others are substituted."""
    changed = derivation(nix, image_salt, 'image { last = "2"; }')
    with served(cache.folder) as (url, asked):
        fresh = Fresh(nix, store, url, cache.key)
        done = fresh.realise(changed)
    assert said(done, "built") == NEW
    copied = said(done, "copied")
    for layers in ("hello-2.10-layers", "r1-layers", "r2-layers"):
        assert {layers, f"{layers}-gz"} <= {name.replace("hello-2.12.1", "hello-2.10") for name in copied}
    assert "dockertools-py-builder" in copied
    assert not {"last", "last-layers", "image", "docker-image-app.tar"} & set(copied)
    nars = [path for path in asked if path.startswith("/nar/")]
    assert len(nars) == len(set(nars)) == len(copied), "each path is fetched once"

    nix.run("nix-store", "--realise", changed)
    (out,) = nix.run("nix-store", "-q", "--outputs", changed).stdout.split()
    assert fresh.file(out).read_bytes() == Path(out).read_bytes(), "and it is what is built here"


def test_an_unchanged_image_is_one_file(nix: Nix, cache: Cache, image_salt: str, store: Path) -> None:
    """Whoever wants the archive takes it as it is. Nothing is built, not even the small files that are never substituted."""
    top = derivation(nix, image_salt, "image { }")
    done = Fresh(nix, store, f"file://{cache.folder}", cache.key).realise(top)
    assert said(done, "built") == []
    assert "docker-image-app.tar" in said(done, "copied")
    assert not [name for name in said(done, "copied") if name.endswith(("-layers", "-gz"))]


def test_what_another_key_signed_is_not_taken(nix: Nix, cache: Cache, image_salt: str, store: Path) -> None:
    top = derivation(nix, image_salt, "image { }")
    (out,) = nix.run("nix-store", "-q", "--outputs", top).stdout.split()
    other = "farm-1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    for key, is_taken in ((other, False), (cache.key, True)):
        fresh = Fresh(nix, store, f"file://{cache.folder}", key)
        done = fresh.realise(top, "--max-jobs", "0", check=False)
        assert (done.returncode == 0) is fresh.file(out).exists() is is_taken


def test_what_a_cache_costs(nix: Nix, cache: Cache, image_salt: str) -> None:
    """A second version costs the cache its own layer, not another image: but for the archive, which is all layers again."""
    before, held = cache.size(), cache.held()
    changed = derivation(nix, image_salt, 'image { last = "3"; }')
    nix.run("nix-store", "--realise", changed)
    outputs = nix.run("nix-store", "-qR", "--include-outputs", changed).stdout.split()
    parts = [path for path in outputs if not path.endswith(".drv") and "docker-image" not in path and Path(path).exists()]
    nix.run(*NIX_COMMAND, "copy", "--to", f"file://{cache.folder}", "--no-check-sigs", *parts)
    assert len(list(cache.folder.glob("*.narinfo"))) - len(held) <= len(NEW)
    (archive,) = nix.run("nix-store", "-q", "--outputs", changed).stdout.split()
    added = cache.size() - before
    assert 0 < added < Path(archive).stat().st_size / 20
