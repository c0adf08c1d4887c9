"""hydraProducts: an image with what Hydra reads of an output, read as Hydra reads it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT, Nix
from tests.nix.building import Build, Outputs
from tests.nix.opened import lines, open_image
from tests.nix.stand_in import write_stand_in

FUNCTION = "hydraProducts"
pytestmark = pytest.mark.xdist_group("nix-hydra")

PRELUDE = """
  image = build { name = "registry.example.org:5000/Team/App"; tag = "1.0"; contents = [ hello ]; meta.description = "d"; };
  page = runCommand "page" { } "mkdir -p $out/css; echo page > $out/index.html; echo css > $out/css/main.css";
  all = [ "archive" "layout" "oci-archive" ];
  reports = { "closure.txt" = writeText "closure" "bash"; inherit page; };
"""
BUILDS = {
    "archive": "image",
    "layout": "image.oci",
    "oci-archive": "image.ociArchive",
    "products": "hydraProducts { inherit image reports; formats = all; }",
    "one": 'hydraProducts { inherit image; releaseName = "app@2"; }',
    "zstd": 'hydraProducts { image = image.override { compressor = "zstd"; }; }',
    "zstd-archive": 'image.override { compressor = "zstd"; }',
    "merged": 'hydraProducts { image = mergeImages { name = "m"; images = [ image image ]; }; }',
}
# As in Hydra's src/hydra-queue-runner/build-result.cc
PRODUCT = re.compile(r'([a-zA-Z0-9_-]+)\s+([a-zA-Z0-9_-]+)\s+("[^"]+"|[^\s<>"]+)(\s+([^\s<>]+))?')
METRIC = re.compile(r"([a-zA-Z0-9._-]+) (\d+)(?: ([a-zA-Z0-9._%-]+))?")


@pytest.fixture(scope="module")
def built(build_all: Build) -> Outputs:
    return build_all(BUILDS, PRELUDE)


def products(out: Path) -> list[tuple[str, str, Path, str | None]]:
    """(type, subtype, path, page) of each product. Whatever Hydra would silently leave out fails."""
    found = []
    for line in lines((out / "nix-support/hydra-build-products").read_text()):
        match = PRODUCT.fullmatch(line)
        assert match, line
        path = Path(match[3])
        assert path.is_relative_to(out), "Hydra shows nothing but what lies in the output"
        assert path.exists() and not path.is_symlink()
        assert re.fullmatch(r"[a-zA-Z0-9.@:_+ -]*", path.name)
        found.append((match[1], match[2], path, match[5]))
    return found


def metrics(out: Path) -> dict[str, tuple[int, str | None]]:
    found = {}
    for line in lines((out / "nix-support/hydra-metrics").read_text()):
        match = METRIC.fullmatch(line)
        assert match, line
        found[match[1]] = (int(match[2]), match[3])
    return found


def test_files_are_those_of_the_image(built: Outputs) -> None:
    shown = products(built["products"])
    assert [(kind, subtype, path.name, page) for kind, subtype, path, page in shown] == [
        ("file", "oci-layout", "docker-image-app-oci", None),
        ("file", "oci-image", "docker-image-app-oci.tar", None),
        ("file", "docker-image", "docker-image-app.tar", None),
        ("doc", "report", "closure.txt", None),
        ("doc", "report", "page", "index.html"),
    ]
    layout, oci_archive, archive = (path for _, _, path, _ in shown[:3])
    assert archive.read_bytes() == built["archive"].read_bytes()
    assert oci_archive.read_bytes() == built["oci-archive"].read_bytes()
    subprocess.run(["diff", "-r", layout, built["layout"]], check=True)
    assert built["zstd-archive"].read_bytes() == products(built["zstd"])[0][2].read_bytes()


def test_files_are_named_to_evaluation(nix: Nix, built: Outputs) -> None:
    files = nix.eval(f"let {PRELUDE} in (hydraProducts {{ inherit image; formats = all; }}).files")
    assert files == ["docker-image-app.tar", "docker-image-app-oci", "docker-image-app-oci.tar"]
    assert all((built["products"] / name).exists() for name in files)


def test_reports_are_copied(built: Outputs) -> None:
    *_, closure, page = (path for _, _, path, _ in products(built["products"]))
    assert closure.read_text() == "bash"
    assert (page / "index.html").read_text() == "page\n" and (page / "css/main.css").read_text() == "css\n"


def test_a_job_alone_offers_an_archive(nix: Nix, built: Outputs) -> None:
    ((kind, subtype, path, page),) = products(built["one"])
    assert (kind, subtype, page) == ("file", "docker-image", None)
    (report,) = lines(nix.run(sys.executable, "-m", "dockertools_py", "validate", str(path)).stdout)
    assert report.endswith(" 0 mismatches")


def test_release_name(built: Outputs) -> None:
    names = {
        name: (built[name] / "nix-support/hydra-release-name").read_text() for name in ("products", "one", "merged")
    }
    tag = open_image(products(built["merged"])[0][2]).names[0].partition(":")[2]
    assert names == {"products": "app-1.0\n", "one": "app@2\n", "merged": f"m-{tag}\n"}


def test_metrics_say_what_is_in_the_image(nix: Nix, built: Outputs) -> None:
    layers = open_image(built["archive"]).layers
    (hello,) = nix.eval("[ hello.outPath ]")
    closure = nix.run("nix-store", "-qR", hello).stdout.split()
    sizes = map(int, nix.run("nix-store", "-q", "--size", *closure).stdout.split())
    wanted = {
        "image-size": (sum(len(layer.tar) for layer in layers), "bytes"),
        "closure-size": (sum(sizes), "bytes"),
        "layers": (len(layers), None),
        "store-paths": (len(closure), None),
    }
    assert metrics(built["products"]) == wanted
    assert metrics(built["zstd"]) == wanted, "they do not depend on how it is compressed"


def test_it_does_not_need_the_archive_too(nix: Nix) -> None:
    needed = nix.instantiate(f"let {PRELUDE} in hydraProducts {{ inherit image; }}")
    assert any(path.endswith("-docker-image-app-products.drv") for path in needed)
    assert not any(path.endswith("-docker-image-app.tar.drv") for path in needed)


def test_meta_is_that_of_the_image_unless_given(nix: Nix) -> None:
    job = f"let {PRELUDE} in (hydraProducts {{ inherit image; meta.timeout = 60; }})"
    assert nix.eval(f"{job}.meta") == {"description": "d", "timeout": 60}


@pytest.fixture
def jobset(tmp_path: Path) -> Path:
    """The one of docs/reference.md."""
    (text,) = re.findall(r"^```nix jobset\n(.*?)^```$", (CHECKOUT / "docs/reference.md").read_text(), re.M | re.S)
    file = tmp_path / "jobs/release.nix"
    file.parent.mkdir()
    file.write_text(text)
    return file


def test_documented_jobset_in_restricted_evaluation(nix: Nix, jobset: Path, tmp_path: Path) -> None:
    inputs = {"nixpkgs": write_stand_in(tmp_path / "nixpkgs"), "dockertools_py": CHECKOUT, "jobs": jobset.parent}
    given = " ".join(f"{name} = {inputs[name]};" for name in ("nixpkgs", "dockertools_py"))
    body = f"with builtins; mapAttrs (_: mapAttrs (_: job: [ job.system job.drvPath ])) (import {jobset} {{ {given} }})"
    options = ["--option", "restrict-eval", "true", "--option", "allow-import-from-derivation", "false"]
    paths = [word for name, path in inputs.items() for word in ("-I", f"{name}={path}")]
    command = ["nix-instantiate", "--eval", "--strict", "--json", "--read-write-mode", *options, *paths, "-E", body]
    jobs = json.loads(nix.run(*command).stdout)
    assert {name: {system: job[0] for system, job in of.items()} for name, of in jobs.items()} == {
        name: {system: system for system in ("x86_64-linux", "aarch64-linux")} for name in ("image", "push", "layers")
    }
    assert len({job[1] for of in jobs.values() for job in of.values()}) == 6


def test_documented_jobset_builds(nix: Nix, jobset: Path) -> None:
    given = f"nixpkgs = {CHECKOUT}/nix/hostpkgs; dockertools_py = {CHECKOUT}; supportedSystems = [ builtins.currentSystem ];"
    chosen = [word for name in ("image", "layers", "push") for word in ("-A", name)]
    done = nix.run("nix-build", "--no-out-link", *chosen, "-E", f"import {jobset} {{ {given} }}")
    image, layers, push = map(Path, done.stdout.split())
    assert [path.name for _, _, path, _ in products(image)] == ["docker-image-app.tar"]
    assert len(layers.read_text().splitlines()) == metrics(image)["layers"][0]
    assert push.name.endswith("-lazy-push-app")


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("image = hello;", "`image` is the package hello-2.10: write an image, as build, mergeImages { … }, "),
        ("image = mergeImages [ image ];", "write an image, as build"),
        ('formats = [ "tar" ];', '`formats` is [ "tar" ]: write a list of "archive", "layout" or "oci-archive"'),
        ("formats = [ ];", "`formats` is [ ]: write a list of"),
        ('releaseName = "app 2";', '`releaseName` is "app 2": write null or letters, digits and . @ : _ -'),
        ("reports = [ page ];", "`reports` is [ the package page ]: write a set of files by the name"),
        ('reports."a/b" = page;', "`reports` is { a/b = …; }: write a set of files by the name"),
        ("reports.gone = /nowhere/gone.txt;", "`reports` is /nowhere/gone.txt, which is not there"),
    ],
)
def test_errors(nix: Nix, argument: str, said: str) -> None:
    given = argument if "image =" in argument else f"inherit image; {argument}"
    error = nix.failure(f"let {PRELUDE} in (hydraProducts {{ {given} }}).drvPath")
    assert "dockerTools.hydraProducts: " in error
    assert said in re.sub(r"hello-[0-9.]+", "hello-2.10", error)
