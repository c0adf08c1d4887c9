"""How nixpkgs' functions cut closures: maxLayers, bases, deep stacks, pipelines, and what `debug` says."""

import re
from pathlib import Path

import pytest

from tests.conftest import Nix
from tests.nix.building import Build, Outputs
from tests.nix.opened import Image, make_docker_archive, make_tar, open_image, plain

pytestmark = pytest.mark.xdist_group("nix-dropin-layers")

PRELUDE = """
  none = { compressor = "none"; tag = "1"; };
  big = name: more:
    runCommand name { } "mkdir $out; head -c 1100000 /dev/zero > $out/${name}; echo ${toString more} > $out/more";
  six = builtins.genList (n: big "big${toString n}" [ ]) 6;
  app = writeTextDir "app" (toString six);
  text = n: writeTextDir "etc/file${toString n}" "${toString n}";
  stack = builtins.foldl'
    (base: n: buildImage (none // { name = "s${toString n}"; fromImage = base; copyToRoot = text n; }))
    null (builtins.genList (n: n) 16);
  heavy = builtins.foldl'
    (base: n: buildImage (none // {
      name = "h${toString n}"; fromImage = base; copyToRoot = writeTextDir "h/${toString n}" "${big "h${toString n}" [ ]}";
    }))
    null (builtins.genList (n: n) 6);
  base = buildLayeredImage (none // { name = "base"; contents = [ bash ]; });
  on = n: base: buildLayeredImage (none // { name = "on"; fromImage = base; contents = [ app ]; maxLayers = n; });
"""
BUILDS = {
    "stack": "stack",
    "heavy": "heavy",
    "base": "base",
    "app": 'buildLayeredImage (none // { name = "a"; contents = [ app ]; })',
    **{
        f"app-{n}": f'buildLayeredImage (none // {{ name = "a"; contents = [ app ]; maxLayers = {n}; }})'
        for n in (2, 3, 5, 127)
    },
    "on-default": "on 100 base",
    "on-ten": "on 10 base",
    "on-file": 'on 10 "${base}"',
    "on-deep": 'build (none // { name = "d"; fromImage = heavy; contents = [ app ]; })',
    "image-of-app": 'buildImage (none // { name = "i"; copyToRoot = [ app ]; maxLayers = 3; })',
    "debug": 'streamLayeredImage { name = "d"; contents = [ app ]; debug = true; }',
    "pipeline": """buildLayeredImage (none // {
      name = "p"; contents = [ app bash ];
      layeringPipeline = [
        [ "split_paths" [ (builtins.elemAt six 2) bash ] ]
        [ "over" "main" [ "pipe" [ [ "popularity_contest" ] [ "reverse" ] [ "limit_layers" 2 ] ] ] ]
        [ "over" "rest" [ "split_every" 4 ] ]
      ];
    })""",
    "pipeline-file": """buildLayeredImage (none // {
      name = "p"; contents = [ app ];
      layeringPipeline = writeText "p.json" ''[ [ "popularity_contest" ], [ "limit_layers", 4 ] ]'';
    })""",
    "pipeline-on-base": """buildLayeredImage (none // {
      name = "p"; fromImage = base; contents = [ bash app ]; layeringPipeline = [ [ "popularity_contest" ] ];
    })""",
}


@pytest.fixture(scope="module")
def built(build_all: Build) -> Outputs:
    return build_all(BUILDS, PRELUDE)


def groups(image: Image) -> list[list[str]]:
    return [layer.store_paths for layer in image.layers if layer.store_paths]


# --- buildImage


def test_each_image_of_a_stack_has_one_layer(built: Outputs) -> None:
    """As nixpkgs has it: so whoever stacks images there can here."""
    image = open_image(built["stack"])
    assert len(image.layers) == 16
    assert {name for name in image.tree if name.startswith("etc/")} == {f"etc/file{n}" for n in range(16)}


def test_a_stack_of_images_with_packages_has_two_each(built: Outputs) -> None:
    image = open_image(built["heavy"])
    assert len(image.layers) == 12
    assert image.store_names == sorted(f"h{n}" for n in range(6))
    assert len(open_image(built["on-deep"]).layers) <= 125


def test_maxLayers_of_buildImage(built: Outputs) -> None:
    image = open_image(built["image-of-app"])
    assert len(image.layers) == 3
    assert image.store_names == [f"big{n}" for n in range(6)]


# --- maxLayers


@pytest.mark.parametrize(("name", "count"), [("app-2", 2), ("app-3", 3), ("app-5", 5), ("app", 8), ("app-127", 8)])
def test_maxLayers_is_exact(built: Outputs, name: str, count: int) -> None:
    """Six packages of more than 1 MiB, one that refers to them, and `/`: eight layers where there is room."""
    image = open_image(built[name])
    assert len(image.layers) == count
    assert image.store_names == ["app", *(f"big{n}" for n in range(6))]


def test_maxLayers_on_a_base(built: Outputs) -> None:
    """#48462: the base's layers count, those that it really has: two images with the default leave each other room."""
    base = len(open_image(built["base"]).layers)
    assert base == 4
    assert len(open_image(built["on-default"]).layers) == base + 8
    for name in ("on-ten", "on-file"):
        image = open_image(built[name])
        assert len(image.layers) == 10
        assert [layer.diff_id for layer in image.layers[:base]] == [
            layer.diff_id for layer in open_image(built["base"]).layers
        ]


def test_no_room(nix: Nix, tmp_path: Path) -> None:
    archive = make_docker_archive(tmp_path / "base.tar", [make_tar({f"a{n}": b""}) for n in range(9)])
    said = nix.failure(
        f'buildLayeredImage {{ name = "x"; fromImage = {archive}; contents = [ bash ]; maxLayers = 10; }}', build=True
    )
    assert (
        "maxLayers: the base has 9 layers, and with those of `/` that leaves none for the packages; write a larger"
        in said
    )


# --- layeringPipeline


def test_a_pipeline(built: Outputs) -> None:
    image = open_image(built["pipeline"])
    found = groups(image)
    # What only bash or big2 need, the last two in one; then the rest, four in a layer
    assert sorted(name for group in found[:2] for name in group if not name.startswith(("glibc", "ncurses"))) == [
        "bash-5.2.15",
        "big2",
    ]
    assert sorted(name for group in found for name in group) == image.store_names
    assert [len(group) for group in found[2:]] == [4, 2]


def test_a_pipeline_from_a_file(built: Outputs) -> None:
    assert [len(group) for group in groups(open_image(built["pipeline-file"]))] == [1, 1, 1, 4]


def test_a_pipeline_does_not_repeat_the_base(built: Outputs) -> None:
    image = open_image(built["pipeline-on-base"])
    assert groups(image)[-1] == ["app"] and len(set(image.store_names)) == len(image.store_names)
    assert [len(group) for group in groups(image)[-7:]] == [1] * 7


@pytest.mark.parametrize(
    ("pipeline", "message"),
    [
        (
            '[ [ "popularity" ] ]',
            "layeringPipeline: ['popularity'] is no operation: write a list that begins with one of flatten",
        ),
        ('(writeText "x" "[")', "-x is no file with JSON"),
    ],
)
def test_errors_of_pipelines(nix: Nix, pipeline: str, message: str) -> None:
    image = f'buildLayeredImage {{ name = "x"; contents = [ bash ]; layeringPipeline = {pipeline}; }}'
    assert message in nix.failure(image, build=True)


def test_a_pipeline_with_too_many_layers(nix: Nix, tmp_path: Path) -> None:
    archive = make_docker_archive(tmp_path / "base.tar", [make_tar({f"a{n}": b""}) for n in range(122)])
    arguments = f'name = "x"; fromImage = {archive}; contents = bash; layeringPipeline = [ [ "split_every" 1 ] ];'
    said = nix.failure(f"buildLayeredImage {{ {arguments} }}", build=True)
    assert 'it makes 3 layers, and there is room for 2: let it end with [ "flatten" ] [ "limit_layers" 2 ]' in said


# --- debug


def test_debug_says_what_is_big(nix: Nix, built: Outputs) -> None:
    lines = nix.run("nix-store", "--read-log", built.derivation("debug")).stdout.splitlines()
    assert lines[0] == "debug: 7 store paths, 6.6 MB; the biggest:"
    assert len(lines) == 8
    for line in lines[1:7]:
        assert re.fullmatch(r"debug: +1\.1 MB  /nix/store/[a-z0-9]{32}-big[0-5]", line)


def test_small_packages_of_ours_share_a_layer(nix: Nix) -> None:
    image = nix.build('buildLayeredImage { name = "r"; contents = [ bash ]; rootfs = "minimal"; compressor = "none"; }')
    found = groups(open_image(image))
    assert found[-1] == sorted(["bin-sh", "ca-certificates", "fake-nss", "usr-bin-env"], key=found[-1].index)
    assert plain(image.read_bytes())
