"""What of a base's config an image inherits, in the image and in its attribute `config`."""

from typing import Any

import pytest

from tests.conftest import Nix
from tests.nix.opened import open_image

pytestmark = pytest.mark.xdist_group("nix-build")

BASE = """
  base = build {
    name = "base"; tag = "1"; layers = [ hello ];
    config = { Env = [ "A=1" "B=1" ]; Cmd = [ "base" ]; User = "7"; Labels.a = "1"; Healthcheck.Test = [ "CMD" "x" ]; };
  };
"""
ENV, OWN = ["A=1", "B=2"], {"Env": ["A=1", "B=2"], "WorkingDir": "/w"}


def image(arguments: str, base: str = "base") -> str:
    config = 'config = { Env = [ "B=2" ]; WorkingDir = "/w"; };'
    return f'let {BASE} in build {{ name = "child"; tag = "1"; fromImage = {base}; {config} {arguments} }}'


EVERYTHING = {**OWN, "Cmd": ["base"], "User": "7", "Labels": {"a": "1"}, "Healthcheck": {"Test": ["CMD", "x"]}}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "all": ("", EVERYTHING),
    "said": ('inheritConfig = "all";', EVERYTHING),
    "env": ('inheritConfig = "env";', OWN),
    "none": ('inheritConfig = "none";', {"Env": ["B=2"], "WorkingDir": "/w"}),
    "keys": ('inheritConfig = [ "User" "Cmd" ];', {"Env": ["B=2"], "WorkingDir": "/w", "User": "7", "Cmd": ["base"]}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_inherited(nix: Nix, kind: str) -> None:
    arguments, wanted = KINDS[kind]
    assert nix.eval(f"({image(arguments)}).config") == wanted
    assert open_image(nix.build(image(arguments))).config == wanted


def test_from_a_file_it_is_the_same(nix: Nix) -> None:
    assert open_image(nix.build(image('inheritConfig = "env";', '"${base}"'))).config == OWN


def test_anything_else_is_an_error(nix: Nix) -> None:
    wrong = image('inheritConfig = "Env";')
    rule = 'write "all", "env", "none", or a list of keys such as [ "Env" "User" ].'
    assert f'dockerTools.build: `inheritConfig` is "Env": {rule}' in nix.failure(f"({wrong}).outPath")


def test_a_base_for_another_platform(nix: Nix) -> None:
    other = image('architecture = "arm64"; variant = "v8";')
    way_out = "give `architecture`, a base for the same platform, or `allowPlatformMismatch = true`"
    said = nix.failure(f"({other}).outPath")
    assert f"dockerTools.build: `fromImage` is for linux/amd64, the image for linux/arm64/v8: {way_out}." in said
    file = image('architecture = "arm64"; variant = "v8";', '"${base}"')
    said = nix.failure(file, build=True)
    assert f"fromImage: the base is for linux/amd64, the image for linux/arm64/v8: {way_out}" in said
    allowed = image('architecture = "arm64"; variant = "v8"; allowPlatformMismatch = true;')
    said = open_image(nix.build(allowed)).json
    assert (said["architecture"], said["variant"]) == ("arm64", "v8")
