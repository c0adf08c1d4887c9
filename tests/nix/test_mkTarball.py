"""mkTarball: one root file system tar, unpacked by `tar` and entered."""

import subprocess
from pathlib import Path

import pytest

from tests.clients.need import need_root
from tests.nix.building import Build, Outputs
from tests.nix.opened import Image, Layer, compressor, name_of, open_tar

FUNCTION = "mkTarball"
pytestmark = pytest.mark.xdist_group("nix-mkTarball")

PRELUDE = """
  a = writeTextDir "etc/a" "the text of a\\n";
  needs-a = writeTextDir "etc/b" "needs ${a}\\n";
  text = writeText "text" "a file\\n";
"""

BUILDS = {
    "drv": "mkTarball { drv = needs-a; }",
    "contents": "mkTarball { contents = [ needs-a a ]; }",
    "contents-one": "mkTarball { contents = needs-a; }",
    "path": "mkTarball { contents = ./examples; }",
    "copy": "mkTarball { copyToRoot = [ needs-a ]; }",
    "both": "mkTarball { contents = a; copyToRoot = needs-a; }",
    "file": "mkTarball { drv = text; }",
    "named": 'mkTarball { drv = a; name = "my-root"; }',
    "none": 'mkTarball { drv = needs-a; compressor = "none"; }',
    "zstd": 'mkTarball { drv = needs-a; compressor = "zstd"; }',
    "level": "mkTarball { drv = bash; compressionLevel = 9; }",
    "level1": "mkTarball { drv = bash; compressionLevel = 1; }",
    "owner": "mkTarball { drv = needs-a; uid = 1000; gid = 100; mtime = 77; }",
    "overridden": "(mkTarball { drv = a; }).override { drv = needs-a; }",
    "overridden-function": "(mkTarball { drv = needs-a; mtime = 76; }).override (old: { mtime = old.mtime + 1; })",
    "bash": "mkTarball { contents = [ bash coreutils ]; }",
}


@pytest.fixture(scope="module")
def built(build_all: Build) -> Outputs:
    return build_all(BUILDS, PRELUDE)


def opened(path: Path) -> Image:
    """A tar seen as an image, for its look at a tree."""
    layer: Layer = open_tar(path)
    assert layer.names == sorted(layer.names) and len(set(layer.names)) == len(layer.names)
    return Image([], b"{}", [layer])


@pytest.mark.parametrize("name", ["drv", "contents", "contents-one", "overridden"])
def test_the_whole_closure_and_links_at_the_root_that_resolve(built: Outputs, name: str) -> None:
    root = opened(built[name])
    assert root.store_names == ["a", "b"]
    assert root.tree["nix"].mode == root.tree["nix/store"].mode == 0o755
    assert root.read(root.resolve("/etc/b")).startswith(b"needs /nix/store/")
    links = [member for member in root.tree.values() if member.issym()]
    assert links
    for link in links:
        root.resolve(link.name)
    assert ("etc/a" in root.tree) == (name == "contents"), "only what was asked for is at /"


def test_path_as_contents(built: Outputs) -> None:
    root = opened(built["path"])
    assert root.read(root.resolve("/hello.nix"))


def test_copies(built: Outputs) -> None:
    root = opened(built["copy"])
    assert root.tree["etc/b"].isfile() and root.store_names == ["a"]
    root = opened(built["both"])
    assert root.tree["etc/b"].isfile() and root.tree["etc/a"].issym() and root.store_names == ["a"]


def test_store_path_that_is_a_file(built: Outputs) -> None:
    root = opened(built["file"])
    (path,) = root.all_store_paths
    assert set(root.tree) == {"nix", "nix/store", path} and root.read(path) == b"a file\n"


@pytest.mark.parametrize(
    ("name", "kind", "file_name"),
    [
        ("drv", "gz", "b-root.tar.gz"),
        ("none", "none", "b-root.tar"),
        ("zstd", "zstd", "b-root.tar.zst"),
        ("named", "gz", "my-root.tar.gz"),
    ],
)
def test_compressor_and_name(built: Outputs, name: str, kind: str, file_name: str) -> None:
    path = built[name]
    assert compressor(path.read_bytes()) == kind
    assert name_of(path) == file_name


def test_all_compressors_hold_the_same_tar(built: Outputs) -> None:
    assert len({open_tar(built[name]).tar for name in ("drv", "none", "zstd")}) == 1


def test_level(built: Outputs) -> None:
    small, quick = built["level"], built["level1"]
    assert open_tar(small).tar == open_tar(quick).tar
    assert small.stat().st_size < quick.stat().st_size


def test_owner_and_mtime(built: Outputs) -> None:
    members = opened(built["owner"]).tree.values()
    assert {(m.uid, m.gid, m.mtime) for m in members} == {(1000, 100, 77)}
    assert {m.mtime for m in opened(built["overridden-function"]).tree.values()} == {77}


def test_unpacked_by_tar_it_can_be_entered(built: Outputs, tmp_path: Path) -> None:
    need_root()
    subprocess.run(["tar", "-xf", built["bash"], "-C", tmp_path], check=True)
    script = 'PATH=/bin; set -e; cd /; echo "$BASH_VERSION"; test -L /bin/ls; ls -d /nix/store/*; echo it runs'
    command = ["/usr/sbin/chroot", tmp_path, "/bin/bash", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    subprocess.run(["chmod", "-R", "u+w", tmp_path], check=True)
    assert done.returncode == 0, done.stderr
    version, *paths, last = done.stdout.splitlines()
    assert version[0].isdigit() and len(paths) > 3 and last == "it runs"
