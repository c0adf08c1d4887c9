"""Errors, literally: function, argument, value, rule and the way out; from the builder one line, and nothing in the store."""

import gzip
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Nix
from tests.nix.building import Build, Outputs, evaluate
from tests.nix.opened import lines, make_docker_archive, make_tar, members_of, sha256

pytestmark = pytest.mark.xdist_group("nix-errors")

# Packages that are never built, so that a wrong argument is found in milliseconds.
FAKE = """
  package = name: derivation { inherit name; builder = "/none"; system = "x86_64-linux"; };
  tools = import %s/nix { python3 = package "python3"; bash = package "bash"; coreutils = package "coreutils"; };
  inherit (tools) build mkTarball mergeImages;
  hello = package "hello";
  image = name: build { inherit name; contents = hello; };
"""

BUILD = (
    "addTarball allowPlatformMismatch architecture compressionLevel compressor config contents copyToRoot created "
    "debug enableFakechroot extraCommands fakeRootCommands fromImage fromImageName fromImageTag gid groups "
    "includeNixDB inheritConfig keepContentsDirlinks layeringPipeline layers maxLayers meta mtime name perms rootMode "
    "rootfs runAsRoot tag uid users variant"
)
MERGE = "allowOverride baseImage compressionLevel compressor config created image image1 image2 images meta name tag"
TARBALL = "compressionLevel compressor contents copyToRoot drv gid groups meta mtime name perms uid users"
KEYS = (
    "ArgsEscaped AttachStderr AttachStdin AttachStdout Cmd CpuShares Domainname Entrypoint Env ExposedPorts Healthcheck "
    "Hostname Image Labels MacAddress Memory MemorySwap NetworkDisabled OnBuild OpenStdin Shell StdinOnce StopSignal "
    "StopTimeout Tty User Volumes WorkingDir"
)
NAME = (
    "an image name: letters and digits, with single . _ - between them and / between parts, as in "
    '"registry.example.org/team/app"'
)
TAG = "a tag: up to 128 letters, digits, . _ -, not beginning with . or -; or null for the output's hash"
PORTS = 'ports with their protocol: config.ExposedPorts = { "%s/tcp" = { }; };'
FILE = "a file: a package, or a path such as ./image.tar"

ENV = 'a list of "NAME=value" strings'
LABELS = 'a set of strings: config.Labels = { "org.opencontainers.image.title" = "app"; };'
DATE = 'a date like "1970-01-01T00:00:01Z", or seconds since 1970 such as self.lastModified'
NEEDED = "needed beside those of the packages; write a larger number (125 at the most), or give the base a smaller one"

# (expression, the message after "error: dockerTools.")
ERRORS = [
    # Arguments
    ('build { name = "x"; contnts = hello; }', "build: unknown argument `contnts`; write `contents`."),
    ('build { name = "x"; fromimage = hello; }', "build: unknown argument `fromimage`; write `fromImage`."),
    ('build { name = "x"; zebra = 1; }', f"build: unknown argument `zebra`; it takes {BUILD}."),
    ("mkTarball { drv = hello; zebra = 1; }", f"mkTarball: unknown argument `zebra`; it takes {TARBALL}."),
    ('mergeImages { name = "x"; zebra = 1; }', f"mergeImages: unknown argument `zebra`; it takes {MERGE}."),
    ("build { }", f"build: `name` is missing: write name = {NAME}."),
    ("mergeImages { }", f"mergeImages: `name` is missing: write name = {NAME}."),
    ("mkTarball { }", "mkTarball: `drv` is missing: write drv = a package, or contents = a list of them."),
    ("build hello", f"build: its argument is the package hello: write an attribute set of {BUILD}."),
    ("build 7", f"build: its argument is 7: write an attribute set of {BUILD}."),
    ("mkTarball hello", f"mkTarball: its argument is the package hello: write an attribute set of {TARBALL}."),
    (
        "mkTarball { drv = hello; contents = hello; }",
        "mkTarball: both `drv` and `contents` are given: write `contents` with all packages, or `drv` with the only one.",
    ),
    # Types
    ('build { name = "x"; contents = 7; }', "build: `contents` is 7: write a package, a path, or a list of them."),
    (
        'build { name = "x"; contents = [ "hello" ]; }',
        'build: `contents` is [ "hello" ]: write a package, a path, or a list of them.',
    ),
    (
        'build { name = "x"; copyToRoot = "hello"; }',
        'build: `copyToRoot` is "hello": write a package, a path, or a list of them.',
    ),
    (
        'build { name = "x"; layers = hello; }',
        "build: `layers` is the package hello: write a list of packages, or of lists of them.",
    ),
    (
        'build { name = "x"; layers = [ 7 ]; }',
        "build: `layers` is [ 7 ]: write a list of packages, or of lists of them.",
    ),
    ('build { name = "x"; extraCommands = [ ]; }', "build: `extraCommands` is [ ]: write a string."),
    ('build { name = "x"; uid = "0"; }', 'build: `uid` is "0": write a whole number, 0 or more.'),
    ('build { name = "x"; mtime = -1; }', "build: `mtime` is -1: write a whole number, 0 or more."),
    ('build { name = "x"; gid = 1.5; }', "build: `gid` is 1.500000: write a whole number, 0 or more."),
    (
        'build { name = "x"; maxLayers = 126; }',
        "build: `maxLayers` is 126: write null or a whole number from 1 to 125.",
    ),
    ('build { name = "x"; maxLayers = 0; }', "build: `maxLayers` is 0: write null or a whole number from 1 to 125."),
    ('build { name = "x"; compressor = "xz"; }', 'build: `compressor` is "xz": write "gz" or "none" or "zstd".'),
    (
        'build { name = "x"; compressionLevel = 10; }',
        'build: `compressionLevel` is 10: write a whole number from 1 to 9 for compressor "gz".',
    ),
    (
        'mkTarball { drv = hello; compressor = "zstd"; compressionLevel = 20; }',
        'mkTarball: `compressionLevel` is 20: write a whole number from 1 to 19 for compressor "zstd".',
    ),
    ('build { name = "x"; meta = "m"; }', 'build: `meta` is "m": write an attribute set.'),
    ('build { name = "x"; created = true; }', f"build: `created` is true: write {DATE}."),
    ('build { name = "x"; created = "now"; }', f'build: `created` is "now": write {DATE}.'),
    (
        'build { name = "x"; architecture = true; }',
        "build: `architecture` is true: write null or an architecture in Go's words, "
        'such as "amd64" (x86_64), "arm64" (aarch64), "arm" or "386".',
    ),
    ('build { name = "x"; fromImage = "base"; }', f'build: `fromImage` is "base": write null or {FILE}.'),
    (
        'build { name = "x"; addTarball = (x: x); }',
        "build: `addTarball` is a function: write null or a file (a package, or a path such as ./root.tar), or a list of them.",
    ),
    ("mkTarball { drv = [ hello ]; }", "mkTarball: `drv` is [ the package hello ]: write null or a package or a path."),
    # Names
    ('build { name = ""; }', f'build: `name` is "": write {NAME}.'),
    ('build { name = "my image"; }', f'build: `name` is "my image": write {NAME}.'),
    ('build { name = "a..b"; }', f'build: `name` is "a..b": write {NAME}.'),
    ('build { name = "a:b"; }', f'build: `name` is "a:b": write {NAME}.'),
    ('build { name = "-a"; }', f'build: `name` is "-a": write {NAME}.'),
    ('build { name = "a/"; }', f'build: `name` is "a/": write {NAME}.'),
    ("build { name = 7; }", f"build: `name` is 7: write {NAME}."),
    ("build { name = null; }", f"build: `name` is null: write {NAME}."),
    ('build { name = "a\\nb"; }', f'build: `name` is "a\\nb": write {NAME}.'),
    ('build { name = "x"; tag = "a b"; }', f'build: `tag` is "a b": write {TAG}.'),
    ('build { name = "x"; tag = ".a"; }', f'build: `tag` is ".a": write {TAG}.'),
    ('build { name = "x"; tag = ""; }', f'build: `tag` is "": write {TAG}.'),
    ('build { name = "x"; tag = 1; }', f"build: `tag` is 1: write {TAG}."),
    ('mergeImages { name = "A B"; images = [ ]; }', f'mergeImages: `name` is "A B": write {NAME}.'),
    # Config
    (
        'build { name = "x"; config.Cmd = "/bin/sh"; }',
        'build: `config.Cmd` is "/bin/sh": write a list of strings: config.Cmd = [ "/bin/sh" ].',
    ),
    (
        'build { name = "x"; config.Entrypoint = hello; }',
        "build: `config.Entrypoint` is the package hello: write a list of strings: config.Entrypoint = [ the package hello ].",
    ),
    ('build { name = "x"; config.Cmd = [ 7 ]; }', "build: `config.Cmd` is [ 7 ]: write a list of strings."),
    (
        'build { name = "x"; config.Env = { A = "1"; B = "2"; }; }',
        f'build: `config.Env` is {{ A = …; B = …; }}: write {ENV}: config.Env = [ "A=…" "B=…" ].',
    ),
    (
        'build { name = "x"; config.Env = [ "A" ]; }',
        'build: `config.Env` is [ "A" ]: write a list of "NAME=value" strings.',
    ),
    (
        'build { name = "x"; config.Env = [ "=A" ]; }',
        'build: `config.Env` is [ "=A" ]: write a list of "NAME=value" strings.',
    ),
    (
        'build { name = "x"; config.ExposedPorts."8080" = { }; }',
        "build: `config.ExposedPorts` is { 8080 = …; }: write " + PORTS % "8080" + ".",
    ),
    (
        'build { name = "x"; config.ExposedPorts = [ 8080 ]; }',
        "build: `config.ExposedPorts` is [ 8080 ]: write " + PORTS % "8080" + ".",
    ),
    (
        'build { name = "x"; config.ExposedPorts = 443; }',
        "build: `config.ExposedPorts` is 443: write " + PORTS % "443" + ".",
    ),
    (
        'build { name = "x"; config.ExposedPorts = { "80/http" = { }; }; }',
        "build: `config.ExposedPorts` is { 80/http = …; }: write " + PORTS % "80" + ".",
    ),
    (
        'build { name = "x"; config.ExposedPorts = [ hello ]; }',
        "build: `config.ExposedPorts` is [ the package hello ]: write " + PORTS % "80" + ".",
    ),
    (
        'build { name = "x"; config.ExposedPorts = { a = x: x; }; }',
        "build: `config.ExposedPorts` is { a = …; }: write " + PORTS % "80" + ".",
    ),
    (
        'build { name = "x"; config.ExposedPorts = [ { } ]; }',
        "build: `config.ExposedPorts` is [ { } ]: write " + PORTS % "80" + ".",
    ),
    (
        'build { name = "x"; config.Volumes = [ "/srv" ]; }',
        'build: `config.Volumes` is [ "/srv" ]: write a set of paths: config.Volumes = { "/srv" = { }; };.',
    ),
    (
        'build { name = "x"; config.Volumes = 7; }',
        'build: `config.Volumes` is 7: write a set of paths: config.Volumes = { "/data" = { }; };.',
    ),
    (
        'build { name = "x"; config.Labels = [ "a=b" ]; }',
        f'build: `config.Labels` is [ "a=b" ]: write {LABELS}.',
    ),
    (
        'build { name = "x"; config.Healthcheck = "c"; }',
        'build: `config.Healthcheck` is "c": write a set such as { Test = [ "CMD" "/bin/check" ]; }.',
    ),
    ('build { name = "x"; config.User = 0; }', "build: `config.User` is 0: write a string."),
    ('build { name = "x"; config.Tty = "true"; }', 'build: `config.Tty` is "true": write true or false.'),
    ('build { name = "x"; config.StopTimeout = "5"; }', 'build: `config.StopTimeout` is "5": write a whole number.'),
    ('build { name = "x"; config.cmd = [ ]; }', "build: unknown key `config.cmd`; write `Cmd`."),
    ('build { name = "x"; config.Zebra = 1; }', f"build: unknown key `config.Zebra`; a container's config has {KEYS}."),
    ('build { name = "x"; config = [ ]; }', 'build: `config` is [ ]: write a set such as { Cmd = [ "/bin/sh" ]; }.'),
    (
        'mergeImages { name = "x"; image1 = image "a"; image2 = image "b"; config.Cmd = "c"; }',
        'mergeImages: `config.Cmd` is "c": write a list of strings: config.Cmd = [ "c" ].',
    ),
    # Layers
    (
        'build { name = "x"; contents = hello; maxLayers = 1; }',
        f"build: `maxLayers` is 1: the base may have 0 layers and 1 more are {NEEDED}.",
    ),
    (
        'build { name = "x"; layers = [ hello ]; maxLayers = 3; fromImage = (image "y").override { maxLayers = 3; }; }',
        f"build: `maxLayers` is 3: the base may have 3 layers and 0 more are {NEEDED}.",
    ),
    # Forms of mergeImages
    ("mergeImages [ ]", "mergeImages: the list is empty: write [ image … ]."),
    (
        'mergeImages { name = "x"; }',
        "mergeImages: no image is given: write image1 and image2, or baseImage and image, or images = [ … ].",
    ),
    (
        'mergeImages { name = "x"; image1 = image "a"; image = image "b"; }',
        "mergeImages: 2 of its forms at once: write image1 and image2, or baseImage and image, or images = [ … ].",
    ),
    (
        'mergeImages { name = "x"; image1 = image "a"; }',
        "mergeImages: only one image is given: write two, or images = [ … ].",
    ),
    (
        'mergeImages { name = "x"; images = [ ]; }',
        "mergeImages: no image is given: write image1 and image2, or baseImage and image, or images = [ … ].",
    ),
    (
        'mergeImages { name = "x"; images = image "a"; }',
        "mergeImages: `images` is the package docker-image-a.tar: write null or a list of images.",
    ),
    ('mergeImages { name = "x"; image1 = 7; image2 = 8; }', f"mergeImages: `image1` is 7: write null or {FILE}."),
    ("mergeImages [ 7 ]", f"mergeImages: `images` is 7: write {FILE}."),
    (
        'mergeImages (image "a")',
        f"mergeImages: its argument is the package docker-image-a.tar: write an attribute set of {MERGE}.",
    ),
    # Files
    ('build { name = "x"; fromImage = /not/there.tar; }', "build: `fromImage` is /not/there.tar, which is not there."),
    (
        'build { name = "x"; fromImage = "/not/there.tar"; }',
        "build: `fromImage` is /not/there.tar, which is not there.",
    ),
    (
        'build { name = "x"; addTarball = [ /not/there.tar ]; }',
        "build: `addTarball` is /not/there.tar, which is not there.",
    ),
    ('build { name = "x"; contents = [ /not/there ]; }', "build: `contents` is /not/there, which is not there."),
    ('build { name = "x"; copyToRoot = /not/there; }', "build: `copyToRoot` is /not/there, which is not there."),
    ('build { name = "x"; layers = [ [ /not/there ] ]; }', "build: `layers` is /not/there, which is not there."),
    ("mkTarball { drv = /not/there; }", "mkTarball: `drv` is /not/there, which is not there."),
    ("mkTarball { contents = [ /not/there ]; }", "mkTarball: `contents` is /not/there, which is not there."),
    ("mergeImages [ /not/there.tar ]", "mergeImages: `images` is /not/there.tar, which is not there."),
    (
        'mergeImages { name = "x"; images = [ /not/there.tar ]; }',
        "mergeImages: `images` is /not/there.tar, which is not there.",
    ),
    # After override
    ('(image "a").override { zebra = 1; }', f"build: unknown argument `zebra`; it takes {BUILD}."),
    ('(image "a").override (old: { name = 7; })', f"build: `name` is 7: write {NAME}."),
]


def message(stderr: str) -> str:
    """The last error that Nix shows; newer versions put traces before it."""
    return re.findall(r"error: (.*)", stderr)[-1]


@pytest.mark.parametrize(("expression", "text"), ERRORS, ids=[expression for expression, _ in ERRORS])
def test_evaluation(nix: Nix, expression: str, text: str) -> None:
    body = f"let {FAKE % nix.checkout} in ({expression}).drvPath"
    done = nix.run("nix-instantiate", "--eval", "-E", body, check=False)
    assert done.returncode == 1
    assert message(done.stderr) == f"dockerTools.{text}"


def test_values_in_errors_are_short_and_on_one_line(nix: Nix) -> None:
    body = (
        f"let {FAKE % nix.checkout} long = builtins.toString (builtins.genList (x: x) 99); in build {{ name = long; }}"
    )
    text = message(nix.run("nix-instantiate", "--eval", "-E", body, check=False).stderr)
    assert text == f'dockerTools.build: `name` is "{" ".join(map(str, range(99)))[:78]}…: write {NAME}.'


def test_a_value_in_an_error_is_never_built_nor_fails_itself(nix: Nix) -> None:
    body = f'let {FAKE % nix.checkout} in build {{ name = {{ name = throw "inner"; outPath = throw "inner"; }}; }}'
    text = message(nix.run("nix-instantiate", "--eval", "-E", body, check=False).stderr)
    assert text == f"dockerTools.build: `name` is a package: write {NAME}."


# --- errors of the builder


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, build_all: Build) -> Path:
    """Files that are no images, or not good ones."""
    folder = tmp_path_factory.mktemp("files")
    root = make_tar({"bin/sh": b"#!", "etc/passwd": b"root", "usr/lib/x": b""})
    (folder / "root.tar").write_bytes(root)
    (folder / "root.tar.gz").write_bytes(gzip.compress(root, mtime=0))
    (folder / "other.tar").write_bytes(make_tar({"readme": b"text", "src/main.c": b"int"}))
    (folder / "empty.tar").write_bytes(make_tar({}))
    (folder / "empty").write_bytes(b"")
    shutil.copyfile("/bin/true", folder / "elf")
    (folder / "text").write_text("This is no tar at all.\n" * 40)
    (folder / "folder").mkdir()
    (folder / "folder/file").write_text("text")
    (folder / "directory").mkdir()

    layer = make_tar({"etc/layer": b"layer\n"})
    good = make_docker_archive(folder / "good.tar", [layer])
    (folder / "cut.tar").write_bytes(good.read_bytes()[: 512 * 5])
    contents = members_of(good)
    (layer_name,) = (name for name in contents if name.endswith("/layer.tar"))
    (folder / "wrong-layer.tar").write_bytes(make_tar(contents | {layer_name: layer.replace(b"layer\n", b"other\n")}))
    (folder / "no-layer.tar").write_bytes(
        make_tar({name: data for name, data in contents.items() if name != layer_name})
    )
    make_docker_archive(folder / "xz-layer.tar", [layer])
    (folder / "arm.tar").write_bytes(make_arm(contents))
    make_docker_archive(folder / "tiny124.tar", [make_tar({f"etc/{n}": b""}) for n in range(124)])
    make_docker_archive(folder / "tiny126.tar", [make_tar({f"etc/{n}": b""}) for n in range(126)])
    two = build_all(
        {"two": "mergeImages [ " + " ".join(f'(build {{ name = "{n}"; tag = "1"; }})' for n in "ab") + " ]"}
    )["two"]
    (folder / "two.tar").write_bytes(two.read_bytes())
    # A good layer under a digest that is not its own, in an OCI layout
    oci = folder / "layout"
    subprocess.run(
        ["skopeo", "--insecure-policy", "copy", "-q", f"docker-archive:{good}", f"oci:{oci}:x:1"], check=True
    )
    largest = max((oci / "blobs/sha256").iterdir(), key=lambda file: file.read_bytes()[:2] == b"\x1f\x8b")
    largest.write_bytes(gzip.compress(layer + bytes(512), mtime=0))
    return folder


def make_arm(contents: dict[str, bytes]) -> bytes:
    (name,) = (name for name in contents if name.endswith(".json") and name != "manifest.json")
    config = contents[name].replace(b"amd64", b"arm64")
    renamed = sha256(config).removeprefix("sha256:") + ".json"
    manifest = contents["manifest.json"].replace(name.encode(), renamed.encode())
    return make_tar({n: d for n, d in contents.items() if n != name} | {renamed: config, "manifest.json": manifest})


EMPTY = 'build { name = "x"; tag = "1"; '
TWO = '[ (builtins.toFile "1" "1") (builtins.toFile "2" "2") ]'
X, XY = '(writeTextDir "etc/x" "one")', '(writeTextDir "etc/x/y" "two")'
OTHER_X = '(writeTextDir "etc/x" "two")'
WAY_OUT = "; take one of them out, or put a tree without it in its place"
MOUNTS = ": Docker mounts at most 125; give a smaller maxLayers, or a base with fewer layers"
NO_TAR = "no image: it is no tar, but begins with"
NEITHER = "no image: neither manifest.json nor index.json in it, but"
A_TAR = "give a root file system tar, as mkTarball makes one"
ROOT = "no image, but a root file system (it has bin, etc, usr): pass it as addTarball"
LAYER = "0" * 64 + "/layer.tar"

# What is built, with FILES for the folder -> the line, with S for the store's folder and a hash, D for a digest
BUILDER_ERRORS = {
    # A fromImage that is no image
    EMPTY + "fromImage = FILES/root.tar.gz; }": f"fromImage: S-root.tar.gz: {ROOT}",
    EMPTY + "fromImage = FILES/root.tar; }": f"fromImage: S-root.tar: {ROOT}",
    EMPTY + "fromImage = FILES/other.tar; }": f"fromImage: S-other.tar: {NEITHER} readme, src",
    EMPTY + "fromImage = FILES/empty.tar; }": "fromImage: S-empty.tar: no image: it is empty",
    EMPTY + "fromImage = FILES/empty; }": "fromImage: S-empty: no image: it is empty",
    EMPTY + "fromImage = FILES/elf; }": rf"fromImage: S-elf: {NO_TAR} \x7fELF\x02\x01\x01\x00",
    EMPTY + "fromImage = FILES/text; }": f"fromImage: S-text: {NO_TAR} This is ",
    EMPTY + "fromImage = FILES/folder; }": f"fromImage: S-folder: {NEITHER} file",
    EMPTY + "fromImage = FILES/directory; }": "fromImage: S-directory: no image: it is empty",
    "mergeImages [ FILES/root.tar ]": f"images: S-root.tar: {ROOT}",
    'mergeImages { name = "x"; image1 = FILES/elf; image2 = FILES/good.tar; }': (
        rf"image1: S-elf: {NO_TAR} \x7fELF\x02\x01\x01\x00"
    ),
    # One that is damaged
    EMPTY + "fromImage = FILES/cut.tar; }": "fromImage: S-cut.tar: the tar ends 9216 bytes too early",
    EMPTY + "fromImage = FILES/wrong-layer.tar; }": (
        f"fromImage: S-wrong-layer.tar: {LAYER}: layer 0 has the diff_id D, but the config says D"
    ),
    EMPTY + "fromImage = FILES/no-layer.tar; }": (
        f"fromImage: S-no-layer.tar: {LAYER} is not in it, though another file names it"
    ),
    EMPTY + "fromImage = FILES/layout; }": (
        "fromImage: S-layout: blobs/sha256/H: its bytes have the digest D, not the one that it is named by"
    ),
    # One that is another than was meant
    EMPTY + "fromImage = FILES/two.tar; }": (
        "fromImage: S-two.tar: 2 images in it: choose one (fromImageName and fromImageTag, or --choose NAME:TAG); "
        "there is: a:1, b:1"
    ),
    EMPTY + 'fromImage = FILES/two.tar; fromImageName = "c"; }': (
        "fromImage: S-two.tar: no image c:* in it; there is: a:1, b:1"
    ),
    EMPTY + 'fromImage = FILES/two.tar; fromImageName = "a"; fromImageTag = "2"; }': (
        "fromImage: S-two.tar: no image a:2 in it; there is: a:1, b:1"
    ),
    EMPTY + "fromImage = FILES/arm.tar; }": (
        "fromImage: the base is for linux/arm64, the image for linux/amd64: "
        "give `architecture`, a base for the same platform, or `allowPlatformMismatch = true`"
    ),
    'mergeImages { name = "x"; images = [ (build { name = "y"; tag = "1"; }) FILES/arm.tar ]; }': (
        "mergeImages: y:1 is for linux/amd64, image 2 for linux/arm64: images of one platform can be merged"
    ),
    # Too many layers
    EMPTY + 'fromImage = FILES/tiny126.tar; extraCommands = "echo > x"; }': "127 layers, 126 of them the base's"
    + MOUNTS,
    EMPTY + f"fromImage = FILES/tiny124.tar; layers = {TWO}; }}": "126 layers, 124 of them the base's" + MOUNTS,
    f'mergeImages {{ name = "x"; images = [ FILES/tiny124.tar (build {{ name = "y"; layers = {TWO}; }}) ]; }}': (
        "126 layers" + MOUNTS
    ),
    # No root file system
    EMPTY
    + "addTarball = FILES/elf; }": rf"addTarball: S-elf is no tar, but begins with \x7fELF\x02\x01\x01\x00: {A_TAR}",
    EMPTY + "addTarball = FILES/empty; }": f"addTarball: S-empty is no tar, but is empty: {A_TAR}",
    EMPTY + "addTarball = FILES/folder; }": f"addTarball: S-folder is not a file: {A_TAR}",
    # Two packages that put different files at one path
    EMPTY + f"contents = [ {X} {OTHER_X} ]; }}": f"/etc/x: different files in S-x and in S-x{WAY_OUT}",
    EMPTY + f"contents = [ {X} {XY} ]; }}": f"/etc/x/: a file and a directory in S-x and in S-y{WAY_OUT}",
    EMPTY + f"contents = [ {XY} {X} ]; }}": f"/etc/x/: a file and a directory in S-x and in S-y{WAY_OUT}",
    EMPTY + f"contents = {X}; copyToRoot = {OTHER_X}; }}": f"/etc/x: different files in S-x and in S-x{WAY_OUT}",
    f"mkTarball {{ contents = [ {X} {OTHER_X} ]; }}": f"/etc/x: different files in S-x and in S-x{WAY_OUT}",
}


@pytest.fixture(scope="module")
def failed(nix: Nix, files: Path) -> tuple[Outputs, set[str]]:
    """All of them tried at once; and the derivations of which Nix said that they failed."""
    expressions = {name: name.replace("FILES", str(files)) for name in BUILDER_ERRORS}
    numbered = {f"e{n}": expression for n, expression in enumerate(expressions.values())}
    evaluated = evaluate(nix, numbered)
    paths = {name: evaluated[f"e{n}"] for n, name in enumerate(expressions)}
    derivations = sorted({derivation for derivation, _ in paths.values()})
    done = nix.run("nix-store", "--realise", "--keep-going", *derivations, check=False)
    return Outputs(paths), set(re.findall(r"builder for '(.*?)' failed with exit code 1", done.stderr))


@pytest.mark.parametrize("expression", BUILDER_ERRORS)
def test_builder(nix: Nix, failed: tuple[Outputs, set[str]], expression: str) -> None:
    outputs, failures = failed
    requisites = nix.run("nix-store", "--query", "--requisites", outputs.derivation(expression)).stdout.split()
    (derivation,) = failures & set(requisites)
    (line,) = lines(nix.run("nix-store", "--read-log", derivation).stdout)
    line = re.sub(r"/nix/store/[0-9a-z]{32}-", "S-", line)
    line = re.sub(r"sha256:[0-9a-f]{64}", "D", line)
    line = re.sub(r"sha256/[0-9a-f]{64}", "sha256/H", line)
    assert line == f"dockertools-py derivation: {BUILDER_ERRORS[expression]}"
    (left,) = nix.run("nix-store", "--query", "--outputs", derivation).stdout.split()
    assert not Path(left).exists()


def test_a_conflict_names_both_packages(nix: Nix, failed: tuple[Outputs, set[str]]) -> None:
    outputs, failures = failed
    derivation = outputs.derivation(f"mkTarball {{ contents = [ {X} {OTHER_X} ]; }}")
    log = nix.run("nix-store", "--read-log", derivation).stdout
    packages = evaluate(nix, {"x": X, "other": OTHER_X})
    assert derivation in failures and all(path in log for _, path in packages.values())


def test_an_error_is_an_error_of_nix_build_too(nix: Nix, files: Path) -> None:
    error = nix.failure(f'build {{ name = "x"; fromImage = {files}/elf; }}', build=True)
    assert "dockertools-py derivation: fromImage: " in error and "Traceback" not in error
