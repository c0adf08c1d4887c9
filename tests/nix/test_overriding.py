"""mergeImages keeps what each of its images shows, or says whose path would change."""

import tarfile
from pathlib import Path

import pytest

from tests.conftest import Nix
from tests.nix.opened import open_image

pytestmark = pytest.mark.xdist_group("nix-build")

ONE = 'one = build { name = "one"; tag = "1"; extraCommands = "mkdir -p etc var; echo one > etc/name; echo same > etc/same"; }'
LINE = "; a=1; b=2"


def pair(commands: str, arguments: str = "", base: str = "") -> str:
    two = f'two = build {{ name = "two"; tag = "2"; {base} extraCommands = "{commands}"; }}'
    return f'let {ONE}; {two}; in mergeImages {{ name = "both"; image1 = one; image2 = two; {arguments} }}'


@pytest.mark.parametrize(
    ("commands", "path"),
    [
        ("mkdir etc; echo two > etc/name", "/etc/name of one:1 would change: two:2 shows something else there"),
        ("mkdir etc; chmod 700 etc", "/etc of one:1 would change: two:2 shows something else there"),
        ("mkdir etc; ln -s x etc/same", "/etc/same of one:1 would change: two:2 shows something else there"),
        ("echo > etc", "/etc of one:1 would change: two:2 shows something else there"),
        ("touch .wh.etc", "/etc of one:1 would change: another one deletes it"),
    ],
)
def test_what_would_change_is_an_error(nix: Nix, commands: str, path: str) -> None:
    said = nix.failure(pair(commands), build=True)
    assert (
        f"mergeImages: {path}; give `allowOverride = true` if the last image shall win, or take one of them out\n"
        in said
    )


def test_equal_files_and_more_of_a_directory_are_no_conflict(nix: Nix) -> None:
    image = open_image(nix.build(pair("mkdir -p etc var; echo same > etc/same; echo 2 > etc/two")))
    assert image.tree["etc/two"]
    assert image.tree["etc/name"]


def test_a_shared_base_is_no_conflict(nix: Nix) -> None:
    image = open_image(nix.build(pair("mkdir opt", base="fromImage = one;")))
    assert {"etc/name", "opt"} <= image.tree.keys()


def test_the_last_wins_where_that_is_allowed(nix: Nix, tmp_path: Path) -> None:
    archive = nix.build(pair("mkdir etc; echo two > etc/name", "allowOverride = true;"))
    with tarfile.open(archive) as outer:
        assert "manifest.json" in outer.getnames()
    assert open_image(archive).tree["etc/name"].size == len("two\n")


def test_the_last_wins_over_what_is_on_a_base_of_both(nix: Nix) -> None:
    layered = """
      one = build { name = "one"; tag = "1"; extraCommands = "mkdir etc; echo 1 > etc/name; echo old > etc/base"; };
      two = build { name = "two"; tag = "2"; fromImage = one; extraCommands = "mkdir etc; echo second > etc/name"; };
      three = build { name = "three"; tag = "3"; fromImage = one; extraCommands = "mkdir etc; echo third image > etc/name"; };
    """
    for images, last in (("two three", "third image\n"), ("three two", "second\n")):
        merged = f'let {layered} in mergeImages {{ name = "m"; images = [ {images} ]; allowOverride = true; }}'
        image = open_image(nix.build(merged))
        assert image.read("etc/name") == last.encode()
        assert image.read("etc/base") == b"old\n"


def test_a_link_inside_a_package_shows_what_a_copy_of_it_shows(nix: Nix) -> None:
    package = """
      package = runCommand "package" { } "mkdir -p $out/bin; echo x > $out/bin/tool-1; ln -s tool-1 $out/bin/tool";
      links = build { name = "links"; tag = "1"; contents = [ package ]; };
      copies = build { name = "copies"; tag = "1"; copyToRoot = [ package ]; };
    """
    for order in ("links copies", "copies links"):
        image = open_image(nix.build(f'let {package} in mergeImages {{ name = "m"; images = [ {order} ]; }}'))
        assert {"bin/tool", "bin/tool-1"} <= image.tree.keys()


@pytest.mark.parametrize("order", ["changes keeps", "keeps changes"])
def test_what_one_changes_of_the_base_of_both_is_no_conflict(nix: Nix, order: str) -> None:
    expression = f"""
      let
        {ONE};
        on = name: extraCommands: build {{ inherit name extraCommands; tag = "1"; fromImage = one; }};
        changes = on "changes" "mkdir etc; echo new > etc/name; touch etc/.wh.same";
        keeps = on "keeps" "mkdir opt";
      in mergeImages {{ name = "m"; images = [ {order} ]; }}
    """
    image = open_image(nix.build(expression))
    assert image.read("etc/name") == b"new\n"
    assert "opt" in image.tree
