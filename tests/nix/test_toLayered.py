"""toLayered: a flat tar becomes layers, those of store paths with the bytes that ours have."""

import io
import tarfile
from pathlib import Path

import pytest

from tests.conftest import Nix
from tests.nix.building import Build, Outputs
from tests.nix.opened import make_tar, open_image, open_tar

FUNCTION = "toLayered"
pytestmark = pytest.mark.xdist_group("nix-toLayered")

PRELUDE = """
  a = writeTextDir "etc/a" "the text of a\\n";
  big = runCommand "big" { } "head -c 2000000 /dev/zero > $out";
  bigger = runCommand "bigger" { } "mkdir $out; head -c 3000000 /dev/zero > $out/zeros";
  ours = build { name = "ours"; layers = [ [ big ] [ bigger ] ]; contents = [ a ]; };
  owned = mtime: mkTarball { contents = [ big bigger ]; uid = 5; inherit mtime; };
  tarball = exportImage { fromImage = ours; };
"""

BUILDS = {
    "ours": "ours",
    "tar": "tarball",
    "layered": 'toLayered { inherit tarball; name = "Team/Layered"; tag = "1"; config.Cmd = [ "/bin/x" ]; }',
    "of-mkTarball": 'toLayered { tarball = mkTarball { contents = [ a big bigger ]; compressor = "zstd"; }; name = "l"; }',
    "two": 'toLayered { inherit tarball; name = "l"; maxLayers = 2; compressor = "none"; }',
    "three": 'toLayered { inherit tarball; name = "l"; maxLayers = 3; }',
    "one": 'toLayered { inherit tarball; name = "l"; maxLayers = 1; }',
    "again": 'exportImage { fromImage = toLayered { inherit tarball; name = "l"; }; }',
    "child": 'build { name = "child"; fromImage = toLayered { inherit tarball; name = "l"; }; contents = [ a big ]; }',
    "mentions": 'toLayered { inherit tarball; name = "l"; config.Cmd = [ "${bash}/bin/bash" ]; architecture = "arm64"; }',
    "owner": 'toLayered { tarball = owned 1; name = "l"; }',
    "normalised": 'toLayered { tarball = owned 9; name = "l"; normalise = true; }',
}


@pytest.fixture(scope="module")
def built(build_all: Build) -> Outputs:
    return build_all(BUILDS, PRELUDE)


def test_layers_by_store_path(built: Outputs) -> None:
    layered = open_image(built["layered"])
    assert [layer.store_paths for layer in layered.layers] == [["big"], ["bigger"], ["a"], []]
    assert layered.names == ["team/layered:1"]
    assert layered.config["Cmd"] == ["/bin/x"]
    assert [entry["created_by"] for entry in layered.json["history"]][:3] == ["store: big", "store: bigger", "store: a"]
    for layer in layered.layers:
        assert layer.names == sorted(layer.names)


@pytest.mark.parametrize("name", ["layered", "of-mkTarball", "normalised"])
def test_what_is_as_nix_keeps_it_is_shared_with_ours(built: Outputs, name: str) -> None:
    ours = {layer.diff_id for layer in open_image(built["ours"]).layers}
    shared = [layer.store_paths for layer in open_image(built[name]).layers if layer.diff_id in ours]
    assert shared[:2] == [["big"], ["bigger"]]


def test_what_is_not_is_kept(built: Outputs) -> None:
    (member,) = [m for m in open_image(built["owner"]).layers[0].members if m.isfile()]
    assert member.uid == 5
    ours = {layer.diff_id for layer in open_image(built["ours"]).layers}
    assert not any(layer.diff_id in ours for layer in open_image(built["owner"]).layers)


def test_it_shows_what_the_tar_has(built: Outputs) -> None:
    assert built["again"].read_bytes() == built["tar"].read_bytes()


@pytest.mark.parametrize(("name", "expected"), [("one", 1), ("two", 2), ("three", 3)])
def test_number_of_layers(built: Outputs, name: str, expected: int) -> None:
    image = open_image(built[name])
    assert len(image.layers) == expected
    assert image.store_names == ["a", "big", "bigger"]


def test_children_and_configs_know_what_is_there(built: Outputs) -> None:
    child, layered = open_image(built["child"]), open_image(built["layered"])
    assert child.store_names == ["a", "big", "bigger"]
    assert [one.diff_id for one in child.layers[: len(layered.layers)]] == [one.diff_id for one in layered.layers]
    mentions = open_image(built["mentions"])
    assert any(name.startswith("bash") for name in mentions.store_names)
    assert mentions.json["architecture"] == "arm64"


def test_without_a_store(nix: Nix, tmp_path: Path) -> None:
    (tmp_path / "root.tar").write_bytes(make_tar({"bin/x": b"1", "nix/store/not-a-path": b"2"}))
    (layer,) = open_image(nix.build(f'toLayered {{ tarball = {tmp_path}/root.tar; name = "l"; }}')).layers
    assert {"bin", "bin/x", "nix/store/not-a-path"} <= set(layer.names)


def test_hard_links_across_layers_become_files(nix: Nix, tmp_path: Path) -> None:
    first, second = (f"nix/store/{letter * 32}-{letter}" for letter in "ab")

    def link(member: tarfile.TarInfo) -> None:
        member.type, member.linkname = tarfile.LNKTYPE, first

    (tmp_path / "root.tar.xz").write_bytes(
        make_tar({first: bytes(1 << 20), second: link, "usr/a": link, "usr/b": link}, "w:xz")
    )
    image = open_image(nix.build(f'toLayered {{ tarball = {tmp_path}/root.tar.xz; name = "l"; }}'))
    kinds = {m.name: m.type for layer in image.layers for m in layer.members if not m.isdir()}
    assert kinds == {first: b"0", second: b"0", "usr/a": b"0", "usr/b": b"1"}
    assert len(image.layers) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "is no tar, but is empty"), (b"#!/bin/sh\n" * 100, "is no tar, but begins with #!/bin/s")],
    ids=["empty", "script"],
)
def test_no_tar(nix: Nix, tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "root.tar").write_bytes(content)
    said = nix.failure(f'toLayered {{ tarball = {tmp_path}/root.tar; name = "l"; }}', build=True)
    assert "toLayered: `tarball`: " in said
    assert message in said


def test_arguments(nix: Nix) -> None:
    assert "toLayered: `tarball` is missing" in nix.failure('toLayered { name = "x"; }')
    assert "toLayered: `config.Cmd` is 1" in nix.failure('toLayered { name = "x"; tarball = bash; config.Cmd = 1; }')


def test_the_tar_of_the_tests_is_as_it_should_be(built: Outputs) -> None:
    with tarfile.open(fileobj=io.BytesIO(open_tar(built["tar"]).tar)) as tar:
        assert {m.mode for m in tar if m.isfile() and m.name.startswith("nix/store/")} == {0o444}
