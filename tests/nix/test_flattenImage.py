"""flattenImage: one layer that shows what all of them show."""

import io
import tarfile
from pathlib import Path

import pytest

from tests.conftest import Nix
from tests.nix.building import Build, Outputs
from tests.nix.opened import make_docker_archive, make_tar, open_image, open_oci

FUNCTION = "flattenImage"
pytestmark = pytest.mark.xdist_group("nix-flattenImage")

PRELUDE = """
  a = writeTextDir "etc/a" "the text of a\\n";
  needs-a = writeTextDir "etc/b" "needs ${a}\\n";
  big = runCommand "big" { } "head -c 2000000 /dev/zero > $out";
  ours = build { name = "ours"; layers = [ big ]; contents = [ needs-a ]; config = { Cmd = [ "/bin/x" ]; Env = [ "A=1" ]; }; };
  flat = flattenImage { fromImage = ours; name = "flat"; };
  below = build { name = "below"; contents = [ needs-a ]; };
  above = build { name = "ours"; fromImage = below; layers = [ big ]; config = { Cmd = [ "/bin/x" ]; Env = [ "A=1" ]; }; };
"""

BUILDS = {
    "ours": "ours",
    "flat": 'flattenImage { fromImage = ours; name = "Flat"; tag = "1"; }',
    "of-archive": 'flattenImage { fromImage = ours.archive; name = "flat"; tag = "1"; }',
    "of-another-cut": 'flattenImage { fromImage = above; name = "flat"; tag = "1"; }',
    "none": 'flattenImage { fromImage = ours; name = "flat"; tag = "1"; compressor = "none"; }',
    "zstd": 'flattenImage { fromImage = ours; name = "flat"; compressor = "zstd"; compressionLevel = 19; }',
    "twice": 'flattenImage { fromImage = flattenImage { fromImage = ours; name = "once"; }; name = "flat"; }',
    "oci": '(flattenImage { fromImage = ours; name = "flat"; }).oci',
    "child": 'build { name = "child"; fromImage = flat; contents = [ needs-a a ]; }',
    "dated": 'flattenImage { fromImage = ours; name = "flat"; created = "2020-01-01T00:00:00Z"; }',
}


@pytest.fixture(scope="module")
def built(build_all: Build) -> Outputs:
    return build_all(BUILDS, PRELUDE)


def test_one_layer_with_all_that_was_there(built: Outputs) -> None:
    image, flat = open_image(built["ours"]), open_image(built["flat"])
    assert len(image.layers) > 2
    assert len(flat.layers) == 1
    assert flat.names == ["flat:1"]
    assert flat.tree.keys() == image.tree.keys()
    for name, member in image.tree.items():
        other = flat.tree[name]
        assert (member.type, member.mode, member.uid, member.linkname, member.mtime) == (
            other.type,
            other.mode,
            other.uid,
            other.linkname,
            other.mtime,
        )
        assert not member.isfile() or image.read(name) == flat.read(name)
    assert flat.layers[0].names == sorted(flat.layers[0].names)


def test_config_and_history(built: Outputs) -> None:
    image, flat = open_image(built["ours"]), open_image(built["flat"])
    assert flat.config == image.config
    assert flat.config["Cmd"] == ["/bin/x"]
    (entry,) = flat.json["history"]
    assert entry == {"created": "1970-01-01T00:00:01Z", "created_by": f"flattened: {len(image.layers)} layers"}
    assert open_image(built["dated"]).json["created"] == "2020-01-01T00:00:00Z"


@pytest.mark.parametrize("name", ["of-archive", "of-another-cut", "none", "zstd", "twice", "dated"])
def test_the_layer_follows_from_the_tree_alone(built: Outputs, name: str) -> None:
    (flat,), (other,) = open_image(built["flat"]).layers, open_image(built[name]).layers
    assert flat.diff_id == other.diff_id
    assert other.compressor == {"none": "none", "zstd": "zstd"}.get(name, "gz")


def test_as_layout(built: Outputs) -> None:
    (flat,) = open_oci(built["oci"])
    assert flat.layers[0].diff_id == open_image(built["flat"]).layers[0].diff_id


def test_children_know_what_is_in_it(built: Outputs) -> None:
    flat, child = open_image(built["flat"]), open_image(built["child"])
    assert child.layers[0].diff_id == flat.layers[0].diff_id
    assert child.store_names == flat.store_names
    assert len(child.layers) == 2


def test_nothing_of_the_store_is_needed_by_it(nix: Nix, built: Outputs) -> None:
    if nix.eval('builtins.compareVersions builtins.nixVersion "2.14"') >= 0:
        assert nix.run("nix-store", "--query", "--references", str(built["flat"])).stdout == ""


def test_an_image_of_others_with_whiteouts(nix: Nix, tmp_path: Path) -> None:
    def hard_link(member: tarfile.TarInfo) -> None:
        member.type, member.linkname = tarfile.LNKTYPE, "kept"

    layers = [
        make_tar({"kept": b"1", "gone": b"2", "d/old": b"3", "also": hard_link}),
        make_tar({".wh.gone": b"", "d/.wh..wh..opq": b"", "d/new": b"4", ".wh.kept": b""}),
    ]
    archive = make_docker_archive(tmp_path / "base.tar", layers, Cmd=["x"])
    (layer,) = open_image(nix.build(f'flattenImage {{ fromImage = {archive}; name = "flat"; }}')).layers
    with tarfile.open(fileobj=io.BytesIO(layer.tar)) as tar:
        found = {member.name: member.type for member in tar}
    assert found == {"also": tarfile.REGTYPE, "d": tarfile.DIRTYPE, "d/new": tarfile.REGTYPE}
    assert layer.read("also") == b"1"


def test_one_line_for_what_is_wrong(nix: Nix, tmp_path: Path) -> None:
    archive = make_docker_archive(tmp_path / "base.tar", [make_tar({"a/.wh...": b""})])
    said = nix.failure(f'flattenImage {{ fromImage = {archive}; name = "flat"; }}', build=True)
    assert "flattenImage: `fromImage`: layer " in said
    assert "a/.wh...: a whiteout of nothing that a layer may hide" in said
    assert "Traceback" not in said
    assert "flattenImage: `name` is missing" in nix.failure("flattenImage { fromImage = bash; }")
    assert "unknown argument `formImage`; write `fromImage`" in nix.failure("flattenImage { formImage = bash; }")
