"""exportImage: the root file system of an image as a tar, which GNU tar unpacks."""

import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.clients.need import need_root
from tests.conftest import Nix
from tests.nix.building import Build, Outputs
from tests.nix.opened import make_docker_archive, make_tar, name_of, open_archive, open_image, open_tar

FUNCTION = "exportImage"
pytestmark = pytest.mark.xdist_group("nix-exportImage")

PRELUDE = """
  a = writeTextDir "etc/a" "the text of a\\n";
  image = build { name = "team/image"; contents = [ bash coreutils a ]; copyToRoot = [ (writeTextDir "etc/b" "b\\n") ]; };
  other = build { name = "other"; tag = "2"; contents = [ a ]; };
  both = mergeImages [ image other ];
"""

BUILDS = {
    "image": "image",
    "tar": "exportImage { fromImage = image; }",
    "of-archive": "exportImage { fromImage = image.archive; diskSize = 4096; }",
    "named": 'exportImage { fromImage = image; name = "root-fs"; }',
    "flat": 'flattenImage { fromImage = image; name = "flat"; }',
    "both": "both",
    "chosen": 'exportImage { fromImage = both; fromImageName = "other"; fromImageTag = "2"; }',
}


@pytest.fixture(scope="module")
def built(build_all: Build) -> Outputs:
    return build_all(BUILDS, PRELUDE)


def test_it_is_the_layer_of_the_flat_image(built: Outputs) -> None:
    (flat,) = open_image(built["flat"]).layers
    assert built["tar"].read_bytes() == flat.tar
    assert built["of-archive"].read_bytes() == flat.tar


def test_names(built: Outputs) -> None:
    assert name_of(built["tar"]) == "docker-image-image.tar"
    assert name_of(built["named"]) == "root-fs"


def test_one_image_of_several(built: Outputs) -> None:
    assert len(open_archive(built["both"])) == 2
    names = open_tar(built["chosen"]).names
    assert "etc/a" in names
    assert "bin" not in names


def test_unpacked_by_tar_it_can_be_entered(built: Outputs, tmp_path: Path) -> None:
    need_root()
    subprocess.run(["tar", "-xf", built["tar"], "-C", tmp_path], check=True)
    command = ["/usr/sbin/chroot", tmp_path, "/bin/bash", "-c", "read -r text < /etc/a; echo $text; /bin/cat /etc/b"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    subprocess.run(["chmod", "-R", "u+w", tmp_path], check=True)
    assert (done.returncode, done.stdout) == (0, "the text of a\nb\n"), done.stderr


def test_owners_devices_and_names_of_a_path(nix: Nix, tmp_path: Path) -> None:
    def device(member: tarfile.TarInfo) -> None:
        member.type, member.devmajor, member.devminor, member.uid = tarfile.CHRTYPE, 1, 5, 7

    make_docker_archive(tmp_path / "base.tar.gz", [make_tar({"zero": device})])
    tar = nix.build(f"exportImage {{ fromImage = {tmp_path / 'base.tar.gz'}; }}")
    assert name_of(tar) == "base.tar"
    (member,) = open_tar(tar).members
    assert (member.name, member.type, member.devmajor, member.devminor, member.uid) == ("zero", b"3", 1, 5, 7)


def test_arguments(nix: Nix) -> None:
    assert "exportImage: `fromImage` is missing" in nix.failure("exportImage { }")
    assert "exportImage: `diskSize` is 0" in nix.failure("exportImage { fromImage = bash; diskSize = 0; }")
