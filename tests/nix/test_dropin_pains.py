"""What hurt users of nixpkgs' dockerTools, each by the number of its issue there, with nixpkgs' own functions here."""

import gzip
import tarfile
from pathlib import Path

import pytest

from tests.conftest import Nix
from tests.nix.building import Build, Outputs, names
from tests.nix.opened import Image, make_docker_archive, make_tar, open_image, plain

pytestmark = pytest.mark.xdist_group("nix-dropin-pains")

PRELUDE = """
  none = { compressor = "none"; tag = "1"; };
  many = map (n: builtins.toFile "path${toString n}" "${toString n}") (builtins.genList (n: n) 600);
  all = builtins.toFile "all" (toString many);
  base = buildLayeredImage (none // { name = "base"; contents = [ bash hello ]; });
"""
BUILDS = {
    "many": 'buildLayeredImage (none // { name = "m"; contents = [ all ]; })',
    "on-layered": 'buildLayeredImage (none // { name = "o"; fromImage = base; contents = [ hello gnused ]; })',
    "on-image": """buildImage (none // {
      name = "i"; fromImage = base; copyToRoot = [ hello gnused ]; config.Cmd = [ "${hello}/bin/hello" ];
    })""",
    "copied": 'buildImage (none // { name = "c"; copyToRoot = [ hello ]; })',
    "both": 'buildLayeredImage (none // { name = "b"; contents = [ hello ]; copyToRoot = [ (writeTextDir "etc/x" "x") ]; })',
    "both-image": 'buildImage (none // { name = "b"; contents = [ hello ]; copyToRoot = [ (writeTextDir "etc/x" "x") ]; })',
    "tmp": """buildImage (none // {
      name = "t"; rootfs = { nss = false; certificates = false; usrBinEnv = false; binSh = false; };
    })""",
    "preset": 'buildLayeredImage (none // { name = "p"; rootfs = "minimal"; })',
    "bare": 'buildLayeredImage (none // { name = "p"; contents = [ ]; })',
}


@pytest.fixture(scope="module")
def built(build_all: Build) -> Outputs:
    return build_all(BUILDS, PRELUDE)


@pytest.fixture
def image_on(nix: Nix, tmp_path: Path):  # type: ignore[no-untyped-def]
    """An image of a function on a foreign base of some layers."""

    def make(function: str, layers: list[bytes], arguments: str, **config: object) -> Image:
        base = make_docker_archive(tmp_path / "base.tar", layers, **config)
        text = f'{function} {{ name = "x"; fromImage = {base}; compressor = "none"; {arguments} }}'
        return open_image(nix.build(text))

    return make


def link(target: str):  # type: ignore[no-untyped-def]
    def make(member: tarfile.TarInfo) -> None:
        member.type, member.linkname = tarfile.SYMTYPE, target

    return make


def folder(member: tarfile.TarInfo) -> None:
    member.type, member.mode = tarfile.DIRTYPE, 0o755


USR_MERGED = make_tar(
    {"bin": link("usr/bin"), "lib": link("usr/lib"), "usr": folder, "usr/bin": folder, "usr/bin/sh": b"sh"}
)


@pytest.mark.parametrize(
    ("function", "argument"),
    [("buildImage", "copyToRoot"), ("buildImage", "contents"), ("buildLayeredImage", "contents")],
)
def test_57073_110696_129007_links_of_the_base_survive(image_on, function: str, argument: str) -> None:  # type: ignore[no-untyped-def]
    image = image_on(function, [USR_MERGED], f"{argument} = [ hello ];")
    assert image.tree["bin"].linkname == "usr/bin" and image.tree["lib"].linkname == "usr/lib"
    assert image.read(image.resolve("/bin/sh")) == b"sh"
    assert image.resolve("/bin/hello").endswith("bin/hello")


@pytest.mark.parametrize("function", ["buildImage", "buildLayeredImage"])
def test_214434_a_base_with_a_layer_twice(image_on, function: str) -> None:  # type: ignore[no-untyped-def]
    twice = make_tar({"a": b"a"})
    image = image_on(function, [twice, make_tar({"b": b"b"}), twice], 'extraCommands = "echo c > c";')
    assert [layer.names for layer in image.layers] == [["a"], ["b"], ["a"], ["c"]]


def test_87253_all_of_the_base_s_config_on_request(image_on) -> None:  # type: ignore[no-untyped-def]
    base = {"Env": ["A=1"], "User": "7", "WorkingDir": "/w", "Cmd": ["x"]}
    image = image_on("buildImage", [USR_MERGED], 'config.Env = [ "B=2" ];', **base)
    assert image.config == {"Env": ["A=1", "B=2"]}
    image = image_on("buildImage", [USR_MERGED], 'inheritConfig = "all"; config.Env = [ "B=2" ];', **base)
    assert image.config == {**base, "Env": ["A=1", "B=2"]}


def test_18896_a_path_of_the_base_is_there_once(built: Outputs) -> None:
    """Of the layered functions too; `open_image` refuses an image with a store path twice."""
    for name in ("on-layered", "on-image"):
        image = open_image(built[name])
        assert [path.partition("-")[0] for path in image.store_names].count("hello") == 1
        assert any(path.startswith("glibc") for path in image.layers[0].store_paths + image.layers[1].store_paths)


def test_94636_what_is_copied_is_not_in_the_store_as_well(built: Outputs) -> None:
    image = open_image(built["copied"])
    assert image.tree["bin/hello"].isfile()
    assert not any(name.startswith("hello") for name in image.store_names)


def test_281672_both_arguments_are_on_both_builders(built: Outputs) -> None:
    layered, image = open_image(built["both"]), open_image(built["both-image"])
    assert layered.tree["bin/hello"].issym() and layered.tree["etc/x"].isfile()
    assert image.tree["bin/hello"].isfile() and image.tree["etc/x"].isfile()


@pytest.mark.parametrize(("function", "argument"), [("buildImage", "copyToRoot"), ("buildLayeredImage", "contents")])
def test_102962_a_conflict_names_both_packages(nix: Nix, function: str, argument: str) -> None:
    packages = '(writeTextDir "etc/one" "1") (runCommand "other" { } "mkdir -p $out/etc; echo 2 > $out/etc/one")'
    said = nix.failure(f'{function} {{ name = "x"; {argument} = [ {packages} ]; }}', build=True)
    line = next(line for line in said.splitlines() if "/etc/one: different files in " in line)
    assert "-one and in " in line and "-other; take one of them out" in line


def test_140908_hundreds_of_paths_at_once(built: Outputs) -> None:
    image = open_image(built["many"])
    assert len(image.store_names) == 601 and len(image.layers) <= 4


def test_67079_325308_no_virtual_machine(nix: Nix) -> None:
    """Nothing asks Nix for a machine with kvm, a script as root least of all."""
    expression = (
        f'let {PRELUDE} in buildImage {{ name = "x"; copyToRoot = [ hello ]; runAsRoot = "mkdir /x"; diskSize = 9; }}'
    )
    ours = [
        path
        for path in nix.instantiate(expression)
        if names({path})[0] in {"script-layer", "docker-image-x.tar.gz", "image"}
    ]
    assert len(ours) >= 3
    for path in ours:
        assert "kvm" not in Path(path).read_text()


def test_197947_a_date_changes_no_layer(nix: Nix) -> None:
    """`created` of another commit: the same derivations but for the image and its archive."""
    one, other = (
        nix.instantiate(f'buildLayeredImage {{ name = "x"; tag = "1"; contents = [ hello ]; created = {date}; }}')
        for date in ("1700000000", '"20240101000000"')
    )
    assert names(one - other) == names(other - one) == ["image", "x.tar.gz"]


def test_30725_a_changed_layer_costs_that_layer(nix: Nix) -> None:
    """#30725, #175486: another script at the top; the layers below and their compressed forms are the same derivations."""
    image = 'buildLayeredImage { name = "x"; tag = "1"; contents = [ hello ]; config.Cmd = [ "${writeText "app" "NUMBER"}" ]; }'
    one, other = (nix.instantiate(image.replace("NUMBER", number)) for number in "12")
    assert names(one - other) == ["app", "app-layers", "app-layers-gz", "image", "x.tar.gz"]


def test_257172_what_programs_expect_is_one_argument(built: Outputs) -> None:
    image = open_image(built["preset"])
    assert (image.tree["tmp"].mode, image.tree["var/empty"].mode) == (0o1777, 0o555)
    for path in (
        "/etc/passwd",
        "/etc/group",
        "/etc/nsswitch.conf",
        "/bin/sh",
        "/usr/bin/env",
        "/etc/ssl/certs/ca-bundle.crt",
    ):
        assert image.resolve(path).startswith("nix/store/")
    assert set(open_image(built["tmp"]).tree) == {"tmp", "var", "var/empty"}
    assert open_image(built["bare"]).layers == []


def test_errors_of_the_preset(nix: Nix) -> None:
    assert 'buildImage: `rootfs` is "full": write null, "minimal", or a set such as' in nix.failure(
        'buildImage { name = "x"; rootfs = "full"; }'
    )
    said = nix.failure('(buildImage { name = "x"; rootfs = { temp = true; }; }).drvPath')
    assert "buildImage: unknown key `rootfs.temp`; write `tmp`." in said


def test_58431_88762_strict_readers(built: Outputs) -> None:
    """Directories come before what is in them, in each layer."""
    for name in ("on-image", "both", "preset"):
        for layer in open_image(built[name]).layers:
            seen = {""}
            for member in layer.members:
                assert member.name.rpartition("/")[0] in seen
                seen.add(member.name)


def test_gzip_does_not_follow_the_number_of_cores(nix: Nix) -> None:
    text = 'buildLayeredImage { name = "x"; tag = "1"; contents = [ bash ]; }'
    first = nix.build(text)
    checked = nix.run(
        "nix-build",
        "--no-out-link",
        "--check",
        "--cores",
        "1",
        "-E",
        f"let ours = import {nix.checkout} {{ }}; in with ours.pkgs; with ours.dockerTools; {text}",
    )
    assert Path(checked.stdout.strip()) == first
    assert plain(first.read_bytes()) == gzip.decompress(first.read_bytes())
