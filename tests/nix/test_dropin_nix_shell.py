"""Images of nix shells: the environment of a derivation's builder, entered by chroot as a container enters it."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.need import need_root
from tests.conftest import Nix
from tests.nix.building import Build, Outputs
from tests.nix.opened import Image, name_of, open_image, plain

FUNCTIONS = ("buildNixShellImage", "streamNixShellImage")
pytestmark = pytest.mark.xdist_group("nix-dropin-shell")

PRELUDE = """
  setup = writeTextDir "setup" ''
    export PATH=${lib.makeBinPath [ coreutils ]}
    for input in $buildInputs; do PATH=$input/bin:$PATH; done
    runHook() { eval "''${!1}"; }
  '';
  # As stdenv.mkDerivation has it
  mine = derivation {
    name = "my-drv"; system = builtins.currentSystem; stdenv = setup; builder = "${bash}/bin/bash"; outputs = [ "out" "doc" ];
    args = [ "-c" "source $stdenv/setup; hello > $out; echo 'it is' > $doc" ];
    buildInputs = [ hello ]; list = [ 1 "two" true false null ]; number = 7; yes = true; no = false; nothing = null;
    text = "a 'quoted' $text\\nof two lines"; passAsFile = [ "big" ]; big = "BIG"; shellHook = "hooked=yes";
  };
  bare = runCommand "bare" { greeting = "hello"; shellHook = "hooked=yes"; } "echo $greeting > $out";
"""
PRINT = (
    "echo $number,$yes,$no,$nothing,$list; printf '%s\\n' \"$text\"; read -r b < $bigPath; echo $b; echo $hooked; "
    "hello | tr a-z A-Z; pwd; id -u; echo $HOME $TMPDIR"
)
BUILDS = {
    "image": 'buildNixShellImage { drv = mine; tag = "1"; }',
    "image-zstd": 'buildNixShellImage { drv = mine; name = "other"; compressor = "zstd"; }',
    "run": f"streamNixShellImage {{ drv = mine; run = {json.dumps(PRINT)}; }}",
    "built": 'streamNixShellImage { drv = mine; run = "buildDerivation && cat $out $doc; exit 3"; }',
    "command": 'streamNixShellImage { drv = mine; command = "echo $hooked; echo end"; }',
    "user": 'streamNixShellImage { drv = mine; uid = 7; gid = 8; homeDirectory = "/homeless-shelter"; run = "id -u"; }',
    "bare": 'streamNixShellImage { drv = bare; run = "echo $greeting $hooked; buildDerivation; read -r x < $out; echo $x"; }',
}


@pytest.fixture(scope="module")
def built(build_all: Build) -> Outputs:
    return build_all(BUILDS, PRELUDE)


@pytest.fixture
def container(tmp_path: Path) -> Iterator["Container"]:
    yield Container(tmp_path)
    subprocess.run(["chmod", "-R", "u+w", tmp_path], check=True)


class Container:
    """An image unpacked, and run by chroot: what a container does, without its namespaces."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.root = folder, folder / "root"

    def unpack(self, output: Path) -> Image:
        data = subprocess.run([output], capture_output=True, check=True).stdout if os.access(output, os.X_OK) else b""
        file = self._folder / "archive.tar"
        file.write_bytes(plain(data or output.read_bytes()))
        image = open_image(file)
        self.root.mkdir()
        for layer in image.layers:
            subprocess.run(["tar", "-xp", "-C", self.root], input=layer.tar, check=True)
        return image

    def run(self, image: Image, stdin: str = "") -> subprocess.CompletedProcess[str]:
        config = image.config
        environment = dict(variable.split("=", 1) for variable in config["Env"])
        command = ["/usr/sbin/chroot", f"--userspec={config['User']}", "--groups=", str(self.root), *config["Cmd"]]
        start = ["/usr/bin/env", "--chdir=/", "-i", *(f"{key}={value}" for key, value in environment.items())]
        inside = [*start, *command[:4], "/usr/bin/env", "--chdir", config["WorkingDir"], *command[4:]]
        return subprocess.run(inside, capture_output=True, text=True, check=False, input=stdin)


def test_buildNixShellImage(built: Outputs, container: Container) -> None:
    assert name_of(built["image"]) == "my-drv-env.tar.gz"
    assert name_of(built["image-zstd"]) == "other.tar.zst"
    image = container.unpack(built["image"])
    assert image.names == ["my-drv-env:1"]
    assert image.config["User"] == "1000:1000" and image.config["WorkingDir"] == "/build"
    assert image.config["Cmd"][1] == "--rcfile"
    assert not any("my-drv" in path for path in image.all_store_paths), "it is for building the derivation, not built"
    assert "hello-2.10" in image.store_names
    passwd = image.read(image.resolve("/etc/passwd")).decode()
    assert "\nnixbld:x:1000:1000:Build user:/build:/noshell\n" in passwd


def test_streamNixShellImage_runs_in_the_builder_s_environment(built: Outputs, container: Container) -> None:
    need_root()
    assert name_of(built["run"]) == "stream-my-drv-env"
    done = container.run(container.unpack(built["run"]))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        *(
            "7,1,,,1 two 1",
            "a 'quoted' $text",
            "of two lines",
            "BIG",
            "yes",
            "HELLO, WORLD!",
            "/build",
            "1000",
        ),
        "/build /build",
    ]


def test_buildDerivation_builds_it_into_the_store(built: Outputs, container: Container) -> None:
    need_root()
    done = container.run(container.unpack(built["built"]))
    assert (done.stdout, done.returncode) == ("Hello, world!\nit is\n", 3), done.stderr
    assert [path.name[33:] for path in (container.root / "nix/store").glob("*-my-drv*")].count("my-drv") == 1


def test_an_interactive_shell(built: Outputs, container: Container) -> None:
    need_root()
    image = container.unpack(built["image"])
    # Bash with --rcfile reads it where it is interactive: so it is told to be.
    image.config["Cmd"].append("-i")
    done = container.run(image, "echo $hooked; hello | tr a-z A-Z\nexit\n")
    assert done.stdout == "yes\nHELLO, WORLD!\n", done.stderr
    assert "[nix-shell:~]$" in done.stderr


def test_a_command_ends_the_shell(built: Outputs, container: Container) -> None:
    need_root()
    image = container.unpack(built["command"])
    image.config["Cmd"].append("-i")
    assert container.run(image, "echo never\n").stdout == "yes\nend\n"


def test_user_and_home(built: Outputs, container: Container) -> None:
    """A home elsewhere is not made: what wants to write there shall fail, as in Nix's own sandbox."""
    need_root()
    image = container.unpack(built["user"])
    assert container.run(image).stdout == "7\n"
    assert not (container.root / "homeless-shelter").exists()
    for folder in ("build", "nix/store", "nix/var/nix"):
        status = (container.root / folder).stat()
        assert (status.st_uid, status.st_gid) == (7, 8)


def test_without_stdenv(built: Outputs, container: Container) -> None:
    need_root()
    done = container.run(container.unpack(built["bare"]))
    assert done.stdout == "hello yes\nhello\n", done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ('run = "a"; command = "b";', "streamNixShellImage: `run` and `command` are both given: write one of them."),
        ("uid = -1;", "streamNixShellImage: `uid` is -1: write a whole number, 0 or more."),
    ],
)
def test_errors(nix: Nix, arguments: str, message: str) -> None:
    assert message in nix.failure(f"(streamNixShellImage {{ drv = hello; {arguments} }}).drvPath".replace("hello", DRV))


def test_structured_attributes(nix: Nix) -> None:
    drv = DRV.replace("name =", "__structuredAttrs = true; name =")
    assert "streamNixShellImage: `drv` is the package x, which has __structuredAttrs" in nix.failure(
        f"(streamNixShellImage {{ drv = {drv}; }}).drvPath"
    )
    assert "buildNixShellImage: `drv` is 7: write a derivation" in nix.failure("buildNixShellImage { drv = 7; }")


DRV = '(derivation { name = "x"; system = "x"; builder = "/x"; })'
