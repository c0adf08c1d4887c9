"""Built again, every derivation of ours has the same bytes: with and without sandbox, on any cores, in any store."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Nix, wrapped
from tests.nix.building import copy_to, names

pytestmark = pytest.mark.xdist_group("nix-determinism")

# One of each kind, with files, links, a script that makes hard links, and layers large enough to be cut in blocks.
KINDS = """
  a = writeTextDir "etc/a" "the text of a";
  data = writeText "data" (toString (builtins.genList (n: n * n) 60000));
  tree = runCommand "tree" { } ''
    mkdir -p $out/bin $out/lib
    for n in 3 1 2 10; do echo $n > $out/lib/$n; ln -s ../lib/$n $out/bin/$n; done
    cp ${data} $out/lib/same1; cp ${data} $out/lib/same2; ln $out/lib/1 $out/lib/hard
  '';
  image = build {
    name = "kinds"; tag = "1"; contents = [ tree a ]; layers = [ data ];
    extraCommands = "for n in 5 4 6; do echo $n > $n; ln $n hard$n; done; mkdir -p var/tmp; chmod 1777 var/tmp";
  };
  other = build { name = "other"; tag = "1"; copyToRoot = tree; compressor = "zstd"; };
  foreign = build { name = "on-file"; tag = "1"; fromImage = "${image.ociArchive}"; addTarball = "${tarball}"; };
  tarball = mkTarball { contents = [ tree ]; };
  merged = mergeImages { name = "merged"; tag = "1"; image1 = image; image2 = other; };
  flat = flattenImage { fromImage = "${image.ociArchive}"; name = "flat"; };
  delta = mkDelta { fromImage = image; toImage = other; name = "delta"; };
  layered = toLayered { tarball = exportImage { fromImage = image; name = "exported.tar"; }; name = "layered"; };
  cut = [ flat layered delta delta.tarball delta.removed ];
  all = [ image image.oci image.ociArchive image.stream other foreign tarball merged (mergeImages [ image other ]) ] ++ cut;
"""
OURS = {
    *("data-layers", "data-layers-gz", "tree-layers", "tree-layers-gz", "a-layers", "a-layers-gz"),
    *("root-layer", "root-layer-gz", "tree-layers-zstd", "root-layer-zstd", "image", "merged-gz"),
    *("docker-image-kinds.tar", "docker-image-kinds-oci", "docker-image-kinds-oci.tar", "stream-kinds"),
    *(
        "docker-image-kinds-oci.tar-description",
        "docker-image-on-file.tar",
        "tree-root.tar.gz",
        "tree-root.tar.gz-layer",
    ),
    *(
        "flat-layer",
        "exported.tar",
        "exported.tar-layers",
        "layered-gz",
        "delta-layer",
        "delta.tar",
        "delta-removed",
        "docker-image-delta.tar",
    ),
    *(
        "docker-image-other.tar",
        "docker-image-merged.tar",
        "merge-docker-images",
        "dockertools-py-builder",
        "dockertools-py",
    ),
}


@pytest.fixture(scope="module")
def derivations(nix: Nix) -> list[str]:
    """All derivations of ours in it, built."""
    tops = nix.run("nix-instantiate", "-E", wrapped(f"let {KINDS} in all")).stdout.split()
    nix.run("nix-store", "--realise", *tops)
    every = nix.run("nix-store", "--query", "--requisites", *tops).stdout.split()
    ours = [path for path in dict.fromkeys(every) if names({path})[0] in OURS and path.endswith(".drv")]
    assert set(names(set(ours))) >= OURS - {"merged-gz"}, "a kind of derivation is missing"
    return ours


@pytest.mark.parametrize(
    ("options", "environment", "mask"),
    [
        (("--cores", "1"), {}, 0o022),
        (("--cores", "2", "--option", "sandbox", "false"), {}, 0o022),
        (
            ("--cores", "0"),
            {"TZ": "Asia/Kathmandu", "LANG": "tr_TR.UTF-8", "LC_ALL": "tr_TR.UTF-8", "USER": "x"},
            0o077,
        ),
    ],
    ids=["one core", "two cores without a sandbox", "all cores, another time zone, language and umask"],
)
def test_built_again(
    nix: Nix, derivations: list[str], options: tuple[str, ...], environment: dict[str, str], mask: int
) -> None:
    """`--check` fails with exit code 104 where bytes differ."""
    command = ["nix-store", "--realise", "--check", *options, *derivations]
    done = subprocess.run(
        command, env=os.environ | environment, umask=mask, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stderr.count("checking outputs of") == len(derivations)


def test_check_notices_what_is_not_deterministic(nix: Nix, salt: str) -> None:
    """So that the test above is known to look at something."""
    expression = f'runCommand "random" {{ }} "cat /proc/sys/kernel/random/uuid > $out # {salt}"'
    (path,) = nix.run("nix-instantiate", "-E", wrapped(expression)).stdout.split()
    nix.run("nix-store", "--realise", path)
    done = nix.run("nix-store", "--realise", "--check", path, check=False)
    assert done.returncode == 104


def digests(nix: Nix, derivations: list[str], store: Path | None = None) -> dict[str, str]:
    """Nix's own digest of the output of each."""
    options = ["--store", str(store)] if store else []
    outputs = nix.run("nix-store", *options, "--query", "--outputs", *derivations).stdout.split()
    hashes = nix.run("nix-store", *options, "--query", "--hash", *outputs).stdout.split()
    return dict(zip(outputs, hashes, strict=True))


def test_in_another_store_before_and_after_optimise(nix: Nix, derivations: list[str], store: Path) -> None:
    """Optimising makes hard links of equal files: of 1 and hard, of same1 and same2, and across store paths."""
    copy_to(store, *inputs(nix, derivations))
    copy_to(store, "--derivation", *derivations)
    here = digests(nix, derivations)
    nix.run("nix-store", "--store", str(store), "--realise", *derivations)
    assert digests(nix, derivations, store) == here
    (tree,) = (store / "nix/store").glob("*-tree")
    links = (tree / "lib/same1").stat().st_nlink
    nix.run("nix-store", "--store", str(store), "--optimise")
    assert (tree / "lib/same1").stat().st_nlink > links
    nix.run("nix-store", "--store", str(store), "--realise", "--check", *derivations)
    nix.run("nix-store", "--store", str(store), "--verify", "--check-contents")


def inputs(nix: Nix, derivations: list[str]) -> list[str]:
    """Store paths that are not made by them but needed to make them."""
    every = set(nix.run("nix-store", "--query", "--requisites", *derivations).stdout.split())
    others = [path for path in every if path.endswith(".drv") and path not in derivations]
    sources = [path for path in every if not path.endswith(".drv")]
    direct = {line for path in derivations for line in nix.run("nix-store", "-q", "--references", path).stdout.split()}
    needed = [path for path in others if path in direct]
    outputs = nix.run("nix-store", "--query", "--outputs", *needed).stdout.split()
    return [*outputs, *sources]


def test_names_in_the_outputs_are_in_no_order_of_the_file_system(nix: Nix, derivations: list[str]) -> None:
    """Readdir gives them as it likes; a tar of ours has them as bytes."""
    (tarball,) = (path for path in digests(nix, derivations) if path.endswith("tree-root.tar.gz"))
    listed = subprocess.check_output(["tar", "-tzf", tarball], text=True).splitlines()
    assert listed == sorted(listed) and len(listed) > 15
