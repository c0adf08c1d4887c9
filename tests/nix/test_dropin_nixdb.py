"""Images with Nix's database: complete for all that is in them, and what Nix itself says of it."""

import sqlite3
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.clients.need import need_root
from tests.conftest import Nix
from tests.nix.building import Build, Outputs
from tests.nix.opened import Image, make_docker_archive, make_tar, name_of, open_image

FUNCTIONS = ("buildImageWithNixDb", "buildLayeredImageWithNixDb")
pytestmark = pytest.mark.xdist_group("nix-dropin-db")

PRELUDE = """
  plain = { compressor = "none"; tag = "1"; };
  etc = writeTextDir "etc/a" "the text of a\\n";
  base = build (plain // { name = "base"; contents = [ bash ]; includeNixDB = true; config.Cmd = [ "${hello}/bin/hello" ]; });
  without = build (plain // { name = "without"; contents = [ bash ]; });
"""
BUILDS = {
    "build": "base",
    "plain": 'buildImageWithNixDb (plain // { name = "p"; copyToRoot = [ bash etc ]; })',
    "layered": 'buildLayeredImageWithNixDb (plain // { name = "l"; contents = [ bash etc ]; uid = 1000; gid = 100; })',
    "on-ours": 'buildLayeredImageWithNixDb (plain // { name = "o"; fromImage = base; contents = [ gnused ]; })',
    "on-file": 'buildLayeredImageWithNixDb (plain // { name = "f"; fromImage = "${base}"; contents = [ gnused ]; })',
    "on-one-without": 'buildLayeredImageWithNixDb (plain // { name = "w"; fromImage = without; contents = [ gnused ]; })',
    "empty": 'buildLayeredImageWithNixDb (plain // { name = "e"; contents = [ etc ]; includeStorePaths = false; })',
    "argument": 'buildImage (plain // { name = "p"; copyToRoot = [ bash etc ]; includeNixDB = true; })',
}
ROOTS = "nix/var/nix/gcroots/docker/"


@pytest.fixture(scope="module")
def built(build_all: Build) -> Outputs:
    return build_all(BUILDS, PRELUDE)


@pytest.fixture
def unpacked(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "root"
    subprocess.run(["chmod", "-R", "u+w", tmp_path], check=True)


def unpack(image: Image, root: Path) -> None:
    """As an engine does it; no whiteouts in these images."""
    root.mkdir()
    for number, layer in enumerate(image.layers):
        file = root.parent / f"{number}.tar"
        file.write_bytes(layer.tar)
        with tarfile.open(file) as tar:
            assert not [name for name in tar.getnames() if "/.wh." in name]
        subprocess.run(["tar", "-xpf", file, "-C", root], check=True)


def valid_paths(image: Image, folder: Path) -> set[str]:
    (folder / "db").write_bytes(image.read("nix/var/nix/db/db.sqlite"))
    with closing(sqlite3.connect(folder / "db")) as database:
        return {path.removeprefix("/") for (path,) in database.execute("select path from ValidPaths")}


@pytest.mark.parametrize("name", ["build", "plain", "layered", "on-ours", "on-file", "on-one-without"])
def test_nix_verifies_all_of_it(built: Outputs, unpacked: Path, name: str) -> None:
    """#28535, #28561: `nix-store --verify --check-contents` reads every file; all is valid, config's and the base's too."""
    need_root()
    image = open_image(built[name])
    unpack(image, unpacked)
    assert valid_paths(image, unpacked.parent) == set(image.all_store_paths)
    command = ["nix-store", "--store", str(unpacked)]
    verified = subprocess.run([*command, "--verify", "--check-contents"], capture_output=True, text=True, check=False)
    said = [line for line in verified.stderr.splitlines() if not line.startswith(("reading", "checking"))]
    assert (verified.returncode, said) == (0, [])
    library = next(path for path in image.all_store_paths if "-glibc-" in path)
    closure = subprocess.run(
        [*command, "--query", "--requisites", f"/{library}"], capture_output=True, text=True, check=True
    ).stdout.split()
    real = subprocess.run(
        ["nix-store", "--query", "--requisites", f"/{library}"], capture_output=True, text=True, check=True
    )
    assert set(closure) == set(real.stdout.split())


def test_buildImageWithNixDb_is_the_argument(built: Outputs) -> None:
    assert built["plain"] == built["argument"]


def test_buildLayeredImageWithNixDb_has_a_layer_of_its_own(built: Outputs) -> None:
    image = open_image(built["layered"])
    top = image.layers[-1]
    assert top.store_paths == [] and "nix/var/nix/db/db.sqlite" in top.names
    assert top.read("nix/var/nix/db/schema") == b"10"
    owners = {(member.uid, member.gid) for member in top.members}
    assert owners == {(1000, 100)}, "of the user that the store is of, for Nix without root"
    assert not any("nix/var" in layer.names for layer in image.layers[:-1])


def test_roots_of_the_garbage_collector(built: Outputs) -> None:
    image = open_image(built["on-ours"])
    links = {name: member for name, member in image.tree.items() if name.startswith(ROOTS)}
    assert sorted(name_of(member.linkname) for member in links.values()) == ["bash-5.2.15", "gnused-4.9", "hello-2.10"]
    for name, member in links.items():
        assert member.linkname == "/nix/store/" + name.removeprefix(ROOTS)
        assert member.linkname.removeprefix("/") in image.tree


def test_the_collector_keeps_what_is_wanted(built: Outputs, unpacked: Path) -> None:
    need_root()
    unpack(open_image(built["on-file"]), unpacked)
    before = sorted(path.name for path in (unpacked / "nix/store").iterdir())
    subprocess.run(["nix-store", "--store", str(unpacked), "--gc"], capture_output=True, text=True, check=True)
    assert sorted(path.name for path in (unpacked / "nix/store").iterdir() if not path.name.startswith(".")) == before


def test_an_empty_store(built: Outputs, tmp_path: Path) -> None:
    assert valid_paths(open_image(built["empty"]), tmp_path) == set()


def test_a_base_whose_database_was_open(nix: Nix, tmp_path: Path) -> None:
    """Its journal counts when it is read, and is gone from the image: it would be applied to the new one."""
    folder = tmp_path / "open"
    folder.mkdir()
    with closing(sqlite3.connect(folder / "db.sqlite", isolation_level=None)) as database:
        database.execute("pragma journal_mode = wal")
        database.execute(
            "create table ValidPaths (id integer primary key, path, hash, registrationTime, deriver, narSize, ca)"
        )
        database.execute("create table Refs (referrer integer, reference integer)")
        path = f"/nix/store/{'a' * 32}-mine"
        database.execute(f"insert into ValidPaths values (1, '{path}', 'sha256:{'0' * 64}', 1, null, 7, null)")
        database.execute(f"insert into ValidPaths values (2, '{path}-gone', 'sha256:{'0' * 64}', 1, null, 7, null)")
        files = {f"nix/var/nix/db/{file.name}": file.read_bytes() for file in folder.iterdir()}
    assert {name.rpartition("/")[2] for name in files} == {"db.sqlite", "db.sqlite-wal", "db.sqlite-shm"}
    base = make_docker_archive(tmp_path / "base.tar", [make_tar({path[1:]: b"x", **files})])
    image = open_image(
        nix.build(f'build {{ name = "x"; fromImage = {base}; contents = [ bash ]; includeNixDB = true; }}')
    )
    assert {name.rpartition("/")[2] for name in image.layers[-1].names if ".wh." in name} == {
        *(".wh.db.sqlite-wal", ".wh.db.sqlite-shm")
    }
    assert valid_paths(image, tmp_path) == set(image.all_store_paths) and path[1:] in image.all_store_paths


def test_a_base_whose_database_is_none(nix: Nix, tmp_path: Path) -> None:
    base = make_docker_archive(tmp_path / "base.tar", [make_tar({"nix/var/nix/db/db.sqlite": b"x" * 4096})])
    said = nix.failure(f'build {{ name = "x"; fromImage = {base}; includeNixDB = true; }}', build=True)
    assert "Nix database: no database of Nix that can be read: file is not a database" in said
