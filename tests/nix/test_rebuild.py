"""Nothing is redone that did not change: exactly the derivations that must be built again are."""

import re
import shutil
from pathlib import Path

import pytest

from tests.conftest import Nix, wrapped
from tests.nix.building import names

pytestmark = pytest.mark.xdist_group("nix-rebuild")

IMAGE = """
  root = name: text: writeTextDir "etc/${name}" "SALT ${text}";
  image = { first ? "1", middle ? "1", last ? "1", ... }@changes: build ({
    name = "app"; tag = "1"; config.Env = [ "A=1" ];
    contents = [ (root "first" first) (root "middle" middle) (root "last" last) ];
  } // removeAttrs changes [ "first" "middle" "last" ]);
"""

LAYERS = ["first-layers", "last-layers", "middle-layers"]
LAYER_BLOBS = ["first-layers-gz", "last-layers-gz", "middle-layers-gz"]
ROOT = ["root-layer", "root-layer-gz"]
ARCHIVE = ["docker-image-app.tar"]


def requisites(nix: Nix, expressions: dict[str, str], prelude: str) -> dict[str, set[str]]:
    """The derivations that each expression needs."""
    both = f"let {prelude} in [ {' '.join(f'({expression})' for expression in expressions.values())} ]"
    derivations = nix.run("nix-instantiate", "-E", wrapped(both)).stdout.split()
    found = {}
    for name, derivation in zip(expressions, derivations, strict=True):
        needed = nix.run("nix-store", "--query", "--requisites", derivation.partition("!")[0]).stdout.split()
        found[name] = {path for path in needed if path.endswith(".drv")}
    return found


# A change, and the derivations that are made by it: those of the packages themselves first.
CHANGES = {
    'image { last = "2"; }': ["last", "last-layers", "last-layers-gz", *ROOT, "image", *ARCHIVE],
    'image { first = "2"; }': ["first", *LAYERS, *LAYER_BLOBS, *ROOT, "image", *ARCHIVE],
    'image { middle = "2"; }': [
        *("middle", "last-layers", "middle-layers", "last-layers-gz", "middle-layers-gz", *ROOT, "image", *ARCHIVE)
    ],
    'image { config.Env = [ "A=2" ]; }': ["image", *ARCHIVE],
    'image { created = "2001-01-01T00:00:00Z"; }': ["image", *ARCHIVE],
    'image { name = "other"; }': ["docker-image-other.tar"],
    'image { tag = "2"; }': ARCHIVE,
    'image { compressor = "none"; }': ARCHIVE,
    'image { compressor = "zstd"; }': [
        *("first-layers-zstd", "last-layers-zstd", "middle-layers-zstd", "root-layer-zstd", *ARCHIVE)
    ],
    "image { compressionLevel = 9; }": [*LAYER_BLOBS, "root-layer-gz", *ARCHIVE],
    'image { extraCommands = "mkdir data"; }': [*ROOT, "image", *ARCHIVE],
    'image { meta.description = "words"; }': [],
    "(image { }).oci": ["docker-image-app-oci"],
    "(image { }).ociArchive": ["docker-image-app-oci.tar"],
    'build { name = "fewer-roots"; tag = "2"; contents = [ (root "first" "1") (root "middle" "1") ]; }': [
        *("docker-image-fewer-roots.tar", "image", *ROOT)
    ],
    'build { name = "only-layers"; tag = "2"; layers = [ (root "first" "1") (root "middle" "1") ]; }': [
        *("docker-image-only-layers.tar", "image")
    ],
    'build { name = "more"; contents = map (name: root name "1") [ "first" "middle" "last" "more" ]; }': [
        *("docker-image-more.tar", "image", "more", "more-layers", "more-layers-gz", *ROOT)
    ],
    'image { copyToRoot = root "copy" "1"; }': [*("copy", "copy-layers", "copy-layers-gz", *ROOT, "image", *ARCHIVE)],
    'build { name = "child"; tag = "1"; fromImage = image { }; config.Env = [ "B=1" ]; }': [
        *("docker-image-child.tar", "image")
    ],
    'build { name = "child"; tag = "1"; fromImage = image { }; contents = [ (root "top" "1") ]; }': [
        *("docker-image-child.tar", "image", "top", "top-layers", "top-layers-gz", *ROOT)
    ],
    'mergeImages { name = "both"; tag = "1"; images = [ (image { }) (image { }) ]; }': [
        *("docker-image-both.tar", "image", "merged-gz", "merged-root")
    ],
}


@pytest.fixture(scope="module")
def trees(nix: Nix) -> dict[str, set[str]]:
    return requisites(nix, {"": "image { }", **{change: change for change in CHANGES}}, IMAGE)


@pytest.mark.parametrize("change", CHANGES)
def test_derivations_that_a_change_makes(trees: dict[str, set[str]], change: str) -> None:
    assert names(trees[change] - trees[""]) == sorted(CHANGES[change])


def test_layers_do_not_know_name_config_or_what_is_above(nix: Nix, trees: dict[str, set[str]]) -> None:
    (first,) = (path for path in trees[""] if path.endswith("-first-layers.drv"))
    below = nix.run("nix-store", "-qR", first).stdout
    assert "-first.drv" in below and "-middle" not in below and "-last" not in below
    text = Path(first).read_text()
    assert "app" not in re.sub(r"/nix/store/\S+?[\"\\]", "", text) and "A=1" not in text


def test_stream_needs_no_layer_compressed(nix: Nix) -> None:
    tree = requisites(nix, {"stream": "(image { }).stream"}, IMAGE)["stream"]
    made = names(tree)
    assert "first-layers" in made and not [name for name in made if name.endswith("-gz")]
    assert not [name for name in made if name.startswith("docker-image")]


@pytest.mark.parametrize("form", ["load", "run", "stream"])
def test_an_executable_describes_its_image_itself(nix: Nix, form: str) -> None:
    """After an edit nobody waits for the description as a derivation of its own."""
    expressions = {
        "": f"(image {{ }}).{form}",
        "last": f'(image {{ last = "2"; }}).{form}',
        "config": f'(image {{ config.Env = [ "A=2" ]; }}).{form}',
        "tag": f'(image {{ tag = "2"; }}).{form}',
    }
    tree = requisites(nix, expressions, IMAGE)
    assert "image" not in names(tree[""])
    assert names(tree["last"] - tree[""]) == sorted(["last", "last-layers", "root-layer", f"{form}-app"])
    assert names(tree["config"] - tree[""]) == names(tree["tag"] - tree[""]) == [f"{form}-app"]


def test_the_description_of_an_executable_is_the_image_s(nix: Nix, salt: str) -> None:
    prelude = IMAGE.replace("SALT", salt)
    body = f"let {prelude} i = image {{ }}; in [ i.description i.load.image i.load ]"
    done = nix.run("nix-build", "--no-out-link", "-E", wrapped(body))
    description, own, load = map(Path, done.stdout.split())
    for name in ("image.json", "config.json"):
        assert (own / name).read_bytes() == (description / name).read_bytes()
    assert f"'{own}' \"$@\"" in load.read_text() and str(description) not in load.read_text()


def built(nix: Nix, prelude: str, expression: str) -> list[str]:
    """The names of what nix-build says that it builds."""
    done = nix.run("nix-build", "--no-out-link", "-E", wrapped(f"let {prelude} in {expression}"))
    return names(set(re.findall(r"^building '(.*)'\.\.\.$", done.stderr, re.MULTILINE)))


def test_what_nix_build_builds(nix: Nix, salt: str) -> None:
    prelude = IMAGE.replace("SALT", salt)
    everything = built(nix, prelude, "image { }")
    first_time = ["first", "middle", "last", *LAYERS, *LAYER_BLOBS, *ROOT, "image", *ARCHIVE]
    # The program itself, when nobody has built it yet
    assert [name for name in everything if name != "dockertools-py-builder"] == sorted(first_time)
    assert built(nix, prelude, "image { }") == []
    assert built(nix, prelude, 'image { last = "2"; }') == sorted(
        ["last", "last-layers", "last-layers-gz", *ROOT, "image", *ARCHIVE]
    )
    assert built(nix, prelude, 'image { config.Env = [ "A=2" ]; }') == sorted(["image", *ARCHIVE])
    assert built(nix, prelude, 'image { tag = "2"; }') == ARCHIVE


@pytest.fixture
def copied(nix: Nix, tmp_path: Path) -> Path:
    """The parts of the checkout that images are made of, to be edited."""
    for name in ("nix", "dockertools_py", "examples"):
        shutil.copytree(nix.checkout / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(nix.checkout / "default.nix", tmp_path)
    return tmp_path


def derivations_of(nix: Nix, checkout: Path) -> tuple[str, str]:
    """Those of an archive, and of a stream script."""
    tools = f"(import {checkout} {{ pkgs = (import {nix.checkout} {{ }}).pkgs; }}).dockerTools"
    body = f'let image = {tools}.build {{ name = "x"; tag = "1"; contents = [ (builtins.toFile "x" "x") ]; }};'
    done = nix.run("nix-instantiate", "-E", f"{body} in [ image image.stream ]")
    archive, stream = done.stdout.split()
    return archive, stream


def test_editing_a_verb_of_the_command_line_rebuilds_no_image(nix: Nix, copied: Path) -> None:
    archive, stream = derivations_of(nix, copied)
    assert (archive, stream) == derivations_of(nix, nix.checkout), "a copy of the checkout makes the same"
    for verb in (copied / "dockertools_py/commands").glob("*.py"):
        verb.write_text(verb.read_text() + "\n# edited\n")
    (copied / "dockertools_py/report").mkdir(exist_ok=True)
    (copied / "dockertools_py/report/new.py").write_text("# new\n")
    edited_archive, edited_stream = derivations_of(nix, copied)
    assert edited_archive == archive
    assert edited_stream != stream, "the script runs the whole program"


def test_editing_what_makes_bytes_rebuilds_images(nix: Nix, copied: Path) -> None:
    archive, _ = derivations_of(nix, copied)
    (copied / "dockertools_py/pack/tar.py").open("a").write("\n# edited\n")
    assert derivations_of(nix, copied)[0] != archive


def test_byte_code_and_editor_files_beside_the_source_do_not_count(nix: Nix, copied: Path) -> None:
    before = derivations_of(nix, copied)
    (copied / "dockertools_py/pack/__pycache__").mkdir()
    (copied / "dockertools_py/pack/__pycache__/tar.cpython-311.pyc").write_bytes(b"byte code")
    (copied / "dockertools_py/pack/tar.py~").write_text("an editor's")
    (copied / "dockertools_py/pack/.tar.py.swp").write_text("another's")
    assert derivations_of(nix, copied) == before
