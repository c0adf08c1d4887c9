"""buildIndex: images for several platforms under one name, as archive, layout, push and load, the images untouched."""

import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Nix
from tests.engines.fake_docker import fake_docker
from tests.nix.building import Build, Outputs, evaluate
from tests.nix.opened import open_image
from tests.registry.served import Rules, served

FUNCTION = "buildIndex"
pytestmark = pytest.mark.xdist_group("nix-buildIndex")

PRELUDE = """
  for = architecture: variant: build {
    name = "App"; tag = "1"; contents = [ hello ]; inherit architecture variant; config.Env = [ "FOR=${architecture}" ];
  };
  amd = for "amd64" null;
  arm = for "arm64" "v8";
  index = buildIndex {
    tag = "2";
    images = { "linux/arm64/v8" = arm; "linux/amd64" = amd; };
    annotations."org.opencontainers.image.title" = "App";
  };
"""
BUILDS = {
    "index": "index",
    "oci": "index.oci",
    "oci-archive": "index.ociArchive",
    "push": "index.push",
    "load": "index.load",
    "run": "index.run",
    "description": "index.description",
    "amd": "amd.oci",
    "arm": "arm.oci",
    "arm-push": "arm.push",
    "of-files": 'buildIndex { name = "of-files"; images = { "linux/amd64" = amd.archive; "linux/arm64" = arm; }; }',
    "wrong": 'buildIndex { images."linux/arm64" = amd; }',
    "twice": 'buildIndex { images = { "linux/arm64" = arm; "linux/arm64/v8" = arm; }; }',
}


@pytest.fixture(scope="module")
def built(build_all: Build) -> Outputs:
    return build_all(BUILDS, PRELUDE)


def blob(layout: Path, digest: str) -> Any:
    return json.loads((layout / "blobs" / digest.replace(":", "/")).read_bytes())


def top(layout: Path) -> Any:
    (entry,) = json.loads((layout / "index.json").read_bytes())["manifests"]
    return entry


def test_the_images_keep_their_manifests(built: Outputs) -> None:
    entry = top(built["oci"])
    assert entry["mediaType"] == "application/vnd.oci.image.index.v1+json"
    assert entry["annotations"]["io.containerd.image.name"] == "docker.io/library/app:2"
    index = blob(built["oci"], entry["digest"])
    assert index["annotations"] == {"org.opencontainers.image.title": "App"}
    platforms = [{"architecture": "amd64", "os": "linux"}, {"architecture": "arm64", "os": "linux", "variant": "v8"}]
    assert [one["platform"] for one in index["manifests"]] == platforms
    assert [one["digest"] for one in index["manifests"]] == [top(built[name])["digest"] for name in ("amd", "arm")]
    blobs = {path.name for path in (built["oci"] / "blobs/sha256").iterdir()}
    theirs = {path.name for name in ("amd", "arm") for path in (built[name] / "blobs/sha256").iterdir()}
    assert blobs == theirs | {entry["digest"][7:]}


def test_archives_and_layouts_are_whole(nix: Nix, built: Outputs) -> None:
    paths = [str(built[name]) for name in ("index", "oci", "oci-archive", "of-files")]
    lines = nix.run(sys.executable, "-m", "dockertools_py", "validate", *paths).stdout.splitlines()
    assert [line.partition(": ")[2].partition(",")[0] for line in lines] == ["2 images"] * 4
    assert all(line.endswith(", 0 mismatches") for line in lines)


def test_docker_before_containerd_sees_the_image_for_this_machine(nix: Nix, built: Outputs) -> None:
    with tarfile.open(built["index"]) as archive:
        member = archive.extractfile("manifest.json")
        assert member
        (image,) = json.load(member)
    machine = {"x86_64-linux": "amd", "aarch64-linux": "arm"}[nix.eval("builtins.currentSystem")]
    manifest = blob(built[machine], top(built[machine])["digest"])
    assert image["RepoTags"] == ["app:2"]
    assert image["Config"] == "blobs/" + manifest["config"]["digest"].replace(":", "/")
    with tarfile.open(built["oci-archive"]) as archive:
        assert "manifest.json" not in archive.getnames()


def test_it_is_pushed_as_it_is_in_the_layout(built: Outputs, tmp_path: Path) -> None:
    rules = Rules()
    with served(rules) as host:
        command = [built["push"], f"http://{host}/team/app:2", f"http://{host}/team/app:latest"]
        environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        digest = top(built["oci"])["digest"]
        assert (done.returncode, done.stdout) == (0, f"http://{host}/team/app@{digest}\n"), done.stderr
        written = [r.path.rpartition("/")[2] for r in rules.requests if r.method == "PUT" and "/manifests/" in r.path]
        assert written[-2:] == ["2", "latest"] and len(written) == 4
        files = {path.name: path.read_bytes() for path in (built["oci"] / "blobs/sha256").iterdir()}
        there = rules.content.blobs | {name: data for name, (data, _) in rules.content.manifests.items() if ":" in name}
        assert {name[7:]: data for name, data in there.items()} == files
        # One image of it alone: nothing is sent, and nothing is made.
        rules.requests.clear()
        command = [built["arm-push"], f"http://{host}/team/app:arm", "--reuse", f"http://{host}/team/app:2"]
        subprocess.run(command, check=True, capture_output=True, env=environment)
        assert not any(r.body for r in rules.requests if "/blobs/" in r.path)
        assert json.loads(rules.content.manifests["arm"][0]) == blob(built["arm"], top(built["arm"])["digest"])


def test_an_engine_gets_the_image_for_it(built: Outputs, tmp_path: Path) -> None:
    """Under the name of the index, from the machine that the daemon says it is."""
    with fake_docker(tmp_path, "docker-26") as (state, url):
        environment = {"HOME": str(tmp_path), "PATH": f"{tmp_path}:/usr/bin:/bin", "DOCKER_HOST": url}
        for machine, name in (("x86_64", "amd"), ("aarch64", "arm")):
            state.machine = machine
            done = subprocess.run([built["load"]], capture_output=True, text=True, env=environment, check=False)
            assert (done.returncode, done.stdout) == (0, "app:2\n"), done.stderr
            manifest = blob(built[name], top(built[name])["digest"])
            assert state.names["docker.io/library/app:2"] == manifest["config"]["digest"]
        (tmp_path / "docker").write_text('#!/bin/sh\necho "$@"\n')
        (tmp_path / "docker").chmod(0o755)
        command = [built["run"], "hello", "--", "--platform", "linux/amd64"]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, stdin=subprocess.DEVNULL, check=True)
        assert done.stdout == "run --pull=never --rm --interactive --platform linux/amd64 app:2 hello\n"


def test_one_of_its_images_as_a_base(nix: Nix, built: Outputs) -> None:
    """Docker's list in the archive has another one."""
    base = f'build {{ name = "child"; fromImage = {built["index"]}; architecture = "ARCHITECTURE"; }}'
    for architecture, name in (("amd64", "amd"), ("arm64", "arm")):
        image = open_image(nix.build(base.replace("ARCHITECTURE", architecture)))
        assert image.config["Env"] == [f"FOR={architecture}"]
        manifest = blob(built[name], top(built[name])["digest"])
        assert len(image.layers) == len(manifest["layers"])


def test_a_platform_that_it_is_not_for(nix: Nix) -> None:
    paths = evaluate(nix, {name: BUILDS[name] for name in ("wrong", "twice")}, PRELUDE)
    for name, why in (
        ("wrong", 'buildIndex: images."linux/arm64" is for linux/amd64: name it so, or build it for linux/arm64'),
        ("twice", 'buildIndex: images."linux/arm64/v8" and images."linux/arm64" are for one platform'),
    ):
        done = nix.run("nix-store", "--realise", paths[name][0], check=False)
        assert done.returncode and why in done.stderr


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ("images = { };", '`images` is { }: write at least one, as in { "linux/amd64" = image; }.'),
        ('images."amd64" = amd;', '`images` has "amd64": write platforms in Go\'s words, such as "linux/amd64" or "linux'),
        ('images."linux/x86_64" = amd;', '`images` has "linux/x86_64": write platforms in Go\'s words'),
        ('images."linux/amd64" = 1;', '`images."linux/amd64"` is 1: write an image, or a file: a package, or a path such as'),
        ('images."linux/amd64" = ./x.tar;', "`name` is missing: the first image is a file, which has none for it."),
        ('images."linux/amd64" = amd; annotations.a = 1;', '`annotations."a"` is 1: write a string.'),
        ('images."linux/amd64" = amd; tag = "?";', '`tag` is "?": write a tag: up to 128'),
    ],
)  # fmt: skip
def test_errors(nix: Nix, arguments: str, why: str) -> None:
    said = nix.failure(f"let {PRELUDE} in (buildIndex {{ {arguments} }}).imageRef")
    assert f"dockerTools.buildIndex: {why}" in said


def test_nothing_of_the_images_is_made_again(nix: Nix) -> None:
    """Its derivations are those of the images, and three of its own."""
    own = nix.instantiate(f"let {PRELUDE} in index")
    theirs = nix.instantiate(f"let {PRELUDE} in amd") | nix.instantiate(f"let {PRELUDE} in arm")
    assert sorted(Path(path).name[33:] for path in own - theirs) == ["docker-image-app.tar.drv", "index.drv"]
