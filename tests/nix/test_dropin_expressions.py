"""Expressions as people write them for nixpkgs, in tests/nix/expressions, evaluated and built unchanged through the overlay.

`<nixpkgs>` is the embedded set with the overlay; lib is its lib, and each file is called as `callPackage` would call it.
"""

import json
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CHECKOUT, Nix
from tests.nix.building import Outputs
from tests.nix.opened import Image, name_of, open_archive, plain

pytestmark = pytest.mark.xdist_group("nix-dropin-expressions")
EXPRESSIONS = sorted(Path(__file__).with_name("expressions").glob("*.nix"))

# What comes out: the file's name, what its config says, and paths that lead to something in the image.
WANTED: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "call-package": ("docker-image-call-package.tar.gz", {}, ["/bin/hello", "/bin/bash", "/share"]),
    "config-only": ("config-only.tar.gz", {}, []),
    "cron-entrypoint": (
        "entrypoint.tar.gz",
        {"Cmd": ["date"], "StopSignal": "SIGINT"},
        ["/bin/sh", "/usr/bin/env", "/etc/passwd"],
    ),
    "date-of-flake": ("dated.tar.gz", {}, ["/bin/hello"]),
    "etc-files": ("docker-image-etc-files.tar.gz", {}, ["/etc/app/config.toml", "/etc/hosts", "/bin/sh"]),
    "fakechroot": ("fakechroot.tar.gz", {"Cmd": ["/bin/sh"]}, ["/var/lib/app", "/etc/passwd", "/bin/sh"]),
    "hello": ("docker-image-hello.tar.gz", {"Cmd": ["/bin/hello"]}, ["/bin/hello"]),
    "hello-contents": ("docker-image-hello-docker.tar.gz", {}, ["/bin/hello", "/bin/bash"]),
    "link-farm": (
        "link-farm.tar.gz",
        {"Env": ["DATA=/srv", "TZ=UTC"], "Cmd": ["/srv/hello"]},
        ["/srv/hello", "/srv/zone"],
    ),
    "list-or-one": ("one.tar.gz", {"Cmd": ["hello"]}, ["/bin/hello"]),
    "mkderivation": ("app.tar.gz", {}, []),
    "nix-in-docker": (
        "docker-image-nix.tar.gz",
        {},
        ["/bin/nix-store", "/etc/nix/nix.conf", "/nix/var/nix/db/db.sqlite"],
    ),
    "nix-shell-tool": ("docker-image-tool.tar.gz", {}, ["/bin/tool"]),
    "on-base": (
        "on-base.tar.gz",
        {"Env": ["PATH=/bin", "LANG=en_US.UTF-8", "APP=1"], "Cmd": ["/bin/app"]},
        ["/bin/app", "/bin/ls"],
    ),
    "override": ("docker-image-app-debug.tar.gz", {"Cmd": ["/bin/hello"]}, ["/bin/hello", "/bin/sh"]),
    "pipeline": ("stream-pipeline", {"Cmd": ["/bin/app"]}, ["/bin/app"]),
    "plain-paths": ("plain-paths.tar.gz", {"Cmd": ["cat", "/etc/motd"]}, ["/etc/motd", "/bin/cat"]),
    "redis": ("docker-image-redis.tar.gz", {"User": "999", "Volumes": {"/data": {}}}, ["/bin/redis-server", "/data"]),
    "shell": ("work-env.tar.gz", {"User": "1000:1000", "WorkingDir": "/build"}, ["/bin/sh", "/build"]),
    "static-site": (
        "static-site.tar.gz",
        {"ExposedPorts": {"8080/tcp": {}}},
        ["/etc/passwd", "/tmp/nginx_client_body"],
    ),
    "stream": ("stream-tools", {"Cmd": ["/bin/bash"]}, ["/bin/bash", "/bin/ls", "/bin/grep"]),
    "symlink-join": ("stream-symlink-join", {"Entrypoint": ["/bin/greet"]}, ["/bin/greet", "/bin/sed"]),
    "users": ("users.tar.gz", {"User": "app"}, ["/home/app", "/etc/passwd"]),
    "web-app": ("app.tar.gz", {"User": "1000:1000", "WorkingDir": "/srv"}, ["/srv", "/bin/server", "/bin/sh"]),
    "zstd": ("docker-image-Zstd.tar.zst", {"Entrypoint": ["/bin/hello"]}, ["/bin/hello"]),
}
BUNDLES = {"several-images": "merge-docker-images", "exported": "root.tar"}


@pytest.fixture(scope="module")
def built(nix: Nix, tmp_path_factory: pytest.TempPathFactory) -> Outputs:
    nixpkgs = tmp_path_factory.mktemp("nixpkgs")
    overlay = f"overlays = [ (import {CHECKOUT}/nix/overlay.nix) ]; cache = {CHECKOUT}/.cache;"
    (nixpkgs / "default.nix").write_text(f"args: import {CHECKOUT}/nix/hostpkgs ({{ {overlay} }} // args)")
    body = (
        """
      let
        pkgs = import <nixpkgs> { };
        call = f: f (builtins.intersectAttrs (builtins.functionArgs f) (pkgs // { inherit pkgs; }));
        called = f: if builtins.isFunction f then call f else f;
        found = file: let drv = called (import file); in [ drv.drvPath drv.outPath ];
      in
    """
        "{ " + " ".join(f'"{file.stem}" = found {file};' for file in EXPRESSIONS) + " }"
    )
    command = [
        "nix-instantiate",
        "--eval",
        "--strict",
        "--json",
        "--read-write-mode",
        "-I",
        f"nixpkgs={nixpkgs}",
        "-E",
        body,
    ]
    paths = {name: (pair[0], pair[1]) for name, pair in json.loads(nix.run(*command).stdout).items()}
    derivations = sorted({derivation for derivation, _ in paths.values()})
    nix.run("nix-store", "--realise", "--keep-going", "--max-jobs", "2", *derivations, check=False)
    return Outputs(paths)


def opened(output: Path, folder: Path) -> list[Image]:
    is_script = output.stat().st_mode & 0o111
    data = subprocess.run([output], capture_output=True, check=True).stdout if is_script else output.read_bytes()
    file = folder / "archive.tar"
    file.write_bytes(plain(data))
    return open_archive(file)


def test_there_are_enough() -> None:
    assert len(EXPRESSIONS) >= 27
    assert {file.stem for file in EXPRESSIONS} == WANTED.keys() | BUNDLES.keys()


@pytest.mark.parametrize("name", WANTED)
def test_expression(built: Outputs, tmp_path: Path, name: str) -> None:
    file_name, config, paths = WANTED[name]
    assert name_of(built[name]) == file_name
    (image,) = opened(built[name], tmp_path)
    for key, value in config.items():
        assert image.config[key] == value
    for path in paths:
        assert image.resolve(path) or path == "/"
    program = (image.config.get("Entrypoint") or image.config.get("Cmd") or [""])[0]
    if program.startswith("/"):
        assert image.tree[image.resolve(program)].mode & 0o111, f"{program} cannot be run"
    assert image.json["architecture"] == ("arm64" if name == "zstd" else "amd64")


def test_owners_by_scripts(built: Outputs, tmp_path: Path) -> None:
    wanted = {
        "redis": ("data", 999, 0o755),
        "users": ("home/app", 1001, 0o700),
        "web-app": ("srv", 1000, 0o755),
        "fakechroot": ("var/lib/app", 5, 0o755),
    }
    for name, (path, uid, mode) in wanted.items():
        (image,) = opened(built[name], tmp_path)
        assert (image.tree[path].uid, image.tree[path].mode) == (uid, mode), name
    assert image.tree["var/lib/app"].gid == 6


def test_dates_and_tags(built: Outputs, tmp_path: Path) -> None:
    (image,) = opened(built["date-of-flake"], tmp_path)
    assert (image.names, image.json["created"]) == (["dated:abcdef0"], "2023-11-14T00:00:00Z")
    assert opened(built["call-package"], tmp_path)[0].names == ["call-package:v2.10"]
    assert opened(built["web-app"], tmp_path)[0].names == ["registry.example.org/web/app:1.2.3"]
    assert opened(built["zstd"], tmp_path)[0].names[0].startswith("team/zstd:")


def test_what_scripts_leave(built: Outputs, tmp_path: Path) -> None:
    (image,) = opened(built["etc-files"], tmp_path)
    assert image.read("etc/app/config.toml") == b'listen = "0.0.0.0:80"\ndebug = true\n'
    (image,) = opened(built["mkderivation"], tmp_path)
    program = image.config["Cmd"][0].removeprefix("/")
    assert image.read(program).decode().splitlines()[1].startswith("cat /nix/store/")
    assert image.read(program.replace("/bin/app", "/share/motd")) == b"WELCOME\n"


def test_several_images_in_one_archive(built: Outputs, tmp_path: Path) -> None:
    assert name_of(built["several-images"]) == "merge-docker-images"
    images = opened(built["several-images"], tmp_path)
    assert [image.names for image in images] == [["gnused:latest"], ["hello:latest"]]
    for image, program in zip(images, ("sed", "hello"), strict=True):
        assert image.config["Entrypoint"][0].endswith(f"/bin/{program}")


def test_an_exported_root(built: Outputs) -> None:
    assert name_of(built["exported"]) == "root.tar"
    with tarfile.open(built["exported"], "r:") as tar:
        assert tar.getmember("bin/busybox").isfile()
