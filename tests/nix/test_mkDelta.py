"""mkDelta: one layer more, and an image shows what another one shows; or a tar and a list for a Dockerfile."""

import subprocess
from pathlib import Path

import pytest

from tests.clients.need import need_root
from tests.conftest import Nix
from tests.nix.building import Build, Outputs
from tests.nix.opened import open_image, open_tar
from tests.oracle.stacks import remove, seen, unpack

FUNCTION = "mkDelta"
pytestmark = pytest.mark.xdist_group("nix-mkDelta")

PRELUDE = """
  a = writeTextDir "etc/a" "the text of a\\n";
  b = writeTextDir "etc/b" "the text of b\\n";
  v = text: writeTextDir "v" text;
  first = build {
    name = "app"; contents = [ bash a ]; copyToRoot = [ (writeTextDir "swap/in" "x") (v "1") ]; config.Env = [ "V=1" ];
  };
  second = build {
    name = "App"; contents = [ bash b ]; copyToRoot = [ (writeTextDir "swap" "x") (v "2") ]; config.Env = [ "V=2" ];
  };
  delta = mkDelta { fromImage = first; toImage = second; };
  of-a = build { name = "of-a"; layers = [ a ]; };
  merged = images: exportImage { fromImage = mergeImages { name = "merged"; tag = "1"; inherit images; }; };
"""

BUILDS = {
    "first": "first",
    "second": "second",
    "delta": "delta",
    "tarball": "delta.tarball",
    "removed": "delta.removed",
    "of-archives": 'mkDelta { fromImage = first.archive; toImage = second.archive; name = "named"; tag = "3"; }',
    "same": "mkDelta { fromImage = first; toImage = first.archive; }",
    "exported": "exportImage { fromImage = delta; }",
    "wanted": "exportImage { fromImage = second; }",
    "before": "exportImage { fromImage = first; }",
    "merged": "merged [ delta of-a ]",
    "merged-before": "merged [ of-a delta ]",
    "child": 'exportImage { fromImage = build { name = "child"; fromImage = delta; contents = [ b a ]; }; }',
}


@pytest.fixture(scope="module")
def built(build_all: Build) -> Outputs:
    return build_all(BUILDS, PRELUDE)


def tree(tar: Path, folder: Path) -> dict[str, tuple[object, ...]]:
    folder.mkdir()
    unpack(tar.read_bytes(), folder)
    return seen(folder, times=False)


def test_one_layer_on_top_of_the_first(built: Outputs) -> None:
    first, second, delta = (open_image(built[name]) for name in ("first", "second", "delta"))
    assert [layer.diff_id for layer in delta.layers[:-1]] == [layer.diff_id for layer in first.layers]
    assert delta.config == second.config
    assert delta.names == [f"app:{delta.names[0].partition(':')[2]}"]
    names = delta.layers[-1].names
    assert {"etc/.wh.a", "etc/b", "swap", "v"} <= set(names)
    assert names == sorted(names)
    assert not any("bash" in name for name in names), "what both have is not in it"
    assert delta.layers[-1].read("v") == b"2"


def test_it_shows_what_the_second_shows(built: Outputs, tmp_path: Path) -> None:
    need_root()
    assert tree(built["exported"], tmp_path / "delta") == tree(built["wanted"], tmp_path / "second")


def test_tarball_and_list_for_a_dockerfile(built: Outputs, tmp_path: Path) -> None:
    need_root()
    tree(built["before"], tmp_path / "root")
    gone = built["removed"].read_bytes().removesuffix(b"\0").split(b"\0")
    assert {b"/etc/a", b"/swap"} <= set(gone)
    assert not any(b".wh." in name for name in gone)
    for name in gone:
        remove(tmp_path / "root" / name.decode().lstrip("/"))
    unpack(built["tarball"].read_bytes(), tmp_path / "root")
    assert seen(tmp_path / "root", times=False) == tree(built["wanted"], tmp_path / "second")
    assert not any(".wh." in name for name in open_tar(built["tarball"]).names)


def test_of_images_of_others(built: Outputs) -> None:
    delta, other = open_image(built["delta"]), open_image(built["of-archives"])
    assert other.names == ["named:3"]
    assert [layer.diff_id for layer in other.layers] == [layer.diff_id for layer in delta.layers]


def test_no_difference_is_no_layer(built: Outputs) -> None:
    first, same = open_image(built["first"]), open_image(built["same"])
    assert [layer.diff_id for layer in same.layers] == [layer.diff_id for layer in first.layers]


def test_children_know_what_it_shows(built: Outputs) -> None:
    """The layer of a is in the first image: below what hides it, so it must come once more."""
    names = open_tar(built["child"]).names
    assert {"etc/a", "etc/b", "bin/bash"} <= set(names)
    assert len([name for name in names if name.startswith("nix/store/") and name.endswith("/etc/a")]) == 1


def test_two_platforms(nix: Nix) -> None:
    arm = '(build { name = "arm"; architecture = "arm64"; contents = [ bash ]; })'
    said = nix.failure(f'mkDelta {{ fromImage = build {{ name = "x"; }}; toImage = {arm}; }}', build=True)
    assert "mkDelta: fromImage is for linux/amd64, toImage for linux/arm64: give two images for one platform" in said
    assert "mkDelta: `toImage` is missing" in nix.failure("mkDelta { fromImage = bash; }")


def test_as_a_user_would_remove(built: Outputs, tmp_path: Path) -> None:
    """The way of the documentation: xargs."""
    names = built["removed"].read_bytes().removesuffix(b"\0").split(b"\0")
    with built["removed"].open("rb") as listed:
        done = subprocess.run(["xargs", "-0", "-n1", "echo", "rm"], stdin=listed, capture_output=True, check=True)
    assert done.stdout.splitlines() == [b"rm " + name for name in names]


@pytest.mark.parametrize("name", ["merged", "merged-before"])
def test_what_it_hides_is_there_where_another_image_has_it(built: Outputs, name: str) -> None:
    exported, found = (set(open_tar(built[tar]).names) for tar in ("exported", name))
    of_a = {path for path in found if path.startswith("nix/store/") and path.endswith("/etc/a")}
    assert len(of_a) == 1
    assert not of_a & exported
    assert exported < found
