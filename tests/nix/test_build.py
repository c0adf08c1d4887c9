"""build: what is in the images, argument by argument."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Nix
from tests.nix.building import Build, Outputs
from tests.nix.opened import Image, make_docker_archive, make_tar, open_archive, open_image, open_oci, sha256

FUNCTION = "build"
pytestmark = pytest.mark.xdist_group("nix-build")

PRELUDE = """
  etc = name: writeTextDir "etc/${name}" "the text of ${name}\\n";
  a = etc "a"; b = etc "b"; c = etc "c";
  uses = name: other: writeTextDir "share/${name}" "needs ${other}\\n";
  file = writeText "single-file" "one file\\n";
  link = runCommand "link" { } "ln -s ${a} $out";
  tree = runCommand "tree" { } ''
    mkdir -p $out/bin $out/lib/deep $out/nix-support
    printf '#!/bin/sh\\n' > $out/bin/run; chmod +x $out/bin/run
    echo text > $out/lib/deep/text
    ln -s ../lib/deep $out/bin/deep
    ln -s run $out/bin/walk
    echo ${a} > $out/nix-support/propagated-build-inputs
  '';
  selfish = runCommand "selfish" { } "mkdir -p $out/etc; echo $out > $out/etc/self";
  numbered = count: builtins.genList (n: builtins.toFile "n${toString n}" "${toString n}") count;
  base = build {
    name = "base"; tag = "1"; contents = [ a ];
    config = { Env = [ "A=1" "B=1" ]; Cmd = [ "base" ]; User = "1"; Labels.a = "1"; Labels.b = "1"; Volumes."/a" = { }; };
  };
"""

BUILDS = {
    # Names and tags
    "hash": 'build { name = "named"; contents = a; }',
    "upper": 'build { name = "Registry.Example.org:5000/Team/App"; tag = "V1"; contents = a; }',
    "docker-hub": 'build { name = "team/app"; tag = "1"; contents = a; }',
    # What can be in an image
    "nothing": 'build { name = "nothing"; tag = "1"; }',
    "list": 'build { name = "x"; tag = "1"; contents = [ a b ]; }',
    "single": 'build { name = "x"; tag = "1"; contents = tree; }',
    "path": 'build { name = "x"; tag = "1"; contents = ./examples; }',
    "path-list": 'build { name = "x"; tag = "1"; contents = [ ./examples a ]; }',
    "to-file": 'build { name = "x"; tag = "1"; layers = [ (builtins.toFile "text" "text") ]; }',
    "link": 'build { name = "x"; tag = "1"; contents = [ link ]; }',
    "file": 'build { name = "x"; tag = "1"; layers = [ file ]; }',
    "equal-files": 'build { name = "x"; tag = "1"; contents = [ a (runCommand "again" { } "cp -r ${a} $out") ]; }',
    "copy": 'build { name = "x"; tag = "1"; copyToRoot = [ tree b ]; }',
    "copy-referred": 'build { name = "x"; tag = "1"; copyToRoot = [ a (uses "a" a) ]; }',
    "copy-selfish": 'build { name = "x"; tag = "1"; copyToRoot = selfish; }',
    "copy-config": 'build { name = "x"; tag = "1"; copyToRoot = a; config.Cmd = [ "${a}/etc/a" ]; }',
    "copy-contents": 'build { name = "x"; tag = "1"; copyToRoot = a; contents = a; }',
    "config": """build {
        name = "x"; tag = "1";
        config = {
          Entrypoint = [ "${uses "entry" a}/share/entry" ]; Cmd = [ b ]; Env = [ "C=${c}/etc/c" "PATH=/bin" ];
          Labels.file = "${file}"; Healthcheck.Test = [ "CMD" "${etc "healthy"}/bin/check" ]; WorkingDir = "/w";
          ExposedPorts."80/tcp" = { }; Volumes."/data" = null; StopTimeout = 3; Tty = true; User = null;
        };
      }""",
    "layers": 'build { name = "x"; tag = "1"; layers = [ [ a b ] c ]; contents = [ (etc "top") ]; }',
    # Scripts
    "script": """build {
        name = "x"; tag = "1"; contents = [ a ];
        extraCommands = ''
          mkdir -p run tmp; chmod 1777 tmp; chmod 700 run; echo made > made; ln made same; ln -s made link; mkfifo pipe
          cat etc/a > copied; rm etc/a; echo "$SOURCE_DATE_EPOCH" > epoch; umask > mask; : > empty
        '';
      }""",
    "only-script": 'build { name = "x"; tag = "1"; extraCommands = "mkdir data"; }',
    "does-nothing": 'build { name = "x"; tag = "1"; extraCommands = ":"; }',
    # Numbers and words
    "created": 'build { name = "x"; tag = "1"; contents = a; created = "2001-02-03T04:05:06Z"; }',
    "arm": 'build { name = "x"; tag = "1"; contents = a; architecture = "arm"; variant = "v7"; }',
    "owner": 'build { name = "x"; tag = "1"; contents = a; copyToRoot = b; uid = 1000; gid = 100; mtime = 86400; }',
    "owner-script": 'build { name = "x"; tag = "1"; extraCommands = "echo > x"; uid = 3000000; gid = 7; mtime = 5; }',
    "two-layers": 'build { name = "x"; tag = "1"; contents = [ a b c ]; maxLayers = 2; }',
    "three-layers": 'build { name = "x"; tag = "1"; layers = [ a b c ]; maxLayers = 3; }',
    "one-layer": 'build { name = "x"; tag = "1"; layers = [ hello a b ]; maxLayers = 1; }',
    "default-layers": 'build { name = "x"; tag = "1"; contents = [ hello ]; }',
    "many-roots": 'build { name = "x"; tag = "1"; contents = numbered 9; compressor = "none"; }',
    "most-roots": 'build { name = "x"; tag = "1"; contents = numbered 8; maxLayers = 6; compressor = "none"; }',
    "long-chain": "builtins.foldl' (fromImage: n: build {"
    ' name = "x"; tag = "1"; inherit fromImage; layers = [ n ]; compressor = "none"; }) base (numbered 6)',
    # Compression
    "gz": 'build { name = "z"; tag = "1"; contents = [ a ]; config.Cmd = [ "${tree}/bin/run" ]; }',
    "none": 'build { name = "z"; tag = "1"; contents = [ a ]; config.Cmd = [ "${tree}/bin/run" ]; compressor = "none"; }',
    "zstd": 'build { name = "z"; tag = "1"; contents = [ a ]; config.Cmd = [ "${tree}/bin/run" ]; compressor = "zstd"; }',
    "gz1": 'build { name = "h"; tag = "1"; layers = [ hello ]; compressionLevel = 1; }',
    "gz9": 'build { name = "h"; tag = "1"; layers = [ hello ]; compressionLevel = 9; }',
    "zstd19": 'build { name = "h"; tag = "1"; layers = [ bash ]; compressor = "zstd"; compressionLevel = 5; }',
    # On top of another image of ours
    "base": "base",
    "child": """build {
        name = "child"; tag = "1"; fromImage = base; contents = [ b (uses "a" a) ]; created = "2002-01-01T00:00:00Z";
        config = { Env = [ "B=2" "C=2" ]; Labels.b = "2"; Volumes."/b" = { }; Entrypoint = [ "child" ]; };
      }""",
    "grandchild": 'build { name = "grandchild"; tag = "1"; contents = [ a c ];'
    ' fromImage = build { name = "mother"; fromImage = base; contents = b; }; }',
    "only-config": 'build { name = "only-config"; tag = "1"; fromImage = base; config.Cmd = [ "x" ]; }',
    "child-none": 'build { name = "child"; tag = "1"; fromImage = base; contents = b; compressor = "none"; }',
    "child-gz": 'build { name = "child"; tag = "1"; fromImage = base; contents = b; }',
    "on-copied": 'build { name = "x"; tag = "1"; fromImage = build { name = "y"; copyToRoot = a; }; contents = [ a ]; }',
    "on-copied-referred": 'build { name = "x"; tag = "1"; fromImage = build { name = "y"; copyToRoot = a; };'
    ' contents = [ (uses "a" a) ]; }',
    # Tars
    "tarball": 'build { name = "x"; tag = "1"; addTarball = mkTarball { drv = a; }; }',
    "tarballs": 'build { name = "x"; tag = "1"; fromImage = base;'
    ' addTarball = [ (mkTarball { contents = [ a b ]; }) (mkTarball { copyToRoot = c; compressor = "none"; }) ]; }',
    # Further arguments and attributes
    "override": '(build { name = "x"; tag = "1"; contents = a; }).override { name = "y"; contents = b; }',
    "override-function": '(build { name = "x"; tag = "1"; contents = a; }).override (old: { name = old.name + "y"; })',
    "override-twice": '((build { name = "x"; tag = "1"; contents = a; }).override { tag = "2"; }).override { name = "z"; }',
    "overridden-output": '(build { name = "y"; tag = "1"; contents = b; })',
    "attributes-archive": '(build { name = "z"; tag = "1"; contents = a; }).archive',
    "attributes-oci": '(build { name = "z"; tag = "1"; contents = a; }).oci',
    "attributes-oci-archive": '(build { name = "z"; tag = "1"; contents = a; }).ociArchive',
    "attributes-description": '(build { name = "z"; tag = "1"; contents = a; }).description',
    "attributes-stream": '(build { name = "z"; tag = "1"; contents = a; }).stream',
    "attributes-stream-hash": '(build { name = "z"; contents = a; }).stream',
    "attributes-plain": 'build { name = "z"; tag = "1"; contents = a; }',
}


@pytest.fixture(scope="module")
def built(build_all: Build) -> Outputs:
    return build_all(BUILDS, PRELUDE)


def evaluate(nix: Nix, expression: str) -> object:
    return nix.eval(f"let {PRELUDE} in {expression}")


# --- names and tags


def test_tag_null_is_the_hash_of_what_is_in_the_image(nix: Nix, built: Outputs) -> None:
    value = evaluate(
        nix,
        """let image = build { name = "named"; contents = a; }; in {
          inherit (image) imageName imageTag imageRef;
          description = image.description.outPath;
          renamed = (image.override { name = "other"; }).imageTag;
          compressed = (image.override { compressor = "none"; }).imageTag;
          changed = (image.override { contents = b; }).imageTag;
          configured = (image.override { config.Cmd = [ "x" ]; }).imageTag;
        }""",
    )
    assert isinstance(value, dict)
    tag = value["imageTag"]
    assert len(tag) == 32 and Path(value["description"]).name.startswith(tag)
    assert value["imageName"] == "named" and value["imageRef"] == f"named:{tag}"
    assert open_image(built["hash"]).names == [f"named:{tag}"]
    assert value["renamed"] == value["compressed"] == tag
    assert len({tag, value["changed"], value["configured"]}) == 3


def test_name_is_lower_cased_and_may_have_a_registry(built: Outputs) -> None:
    assert open_image(built["upper"]).names == ["registry.example.org:5000/team/app:V1"]
    assert open_oci(built["upper"])[0].names == ["registry.example.org:5000/team/app:V1"]
    assert built["upper"].name.endswith("-docker-image-app.tar")


def test_containerd_gets_the_full_name(built: Outputs) -> None:
    assert open_oci(built["docker-hub"])[0].names == ["docker.io/team/app:1"]
    assert open_oci(built["list"])[0].names == ["docker.io/library/x:1"]


# --- what is in it


def test_empty_closure_has_no_nix_folder(built: Outputs) -> None:
    image = open_image(built["nothing"])
    assert image.layers == [] and image.tree == {}
    assert open_image(built["does-nothing"]).tree == {}
    assert set(open_image(built["only-script"]).tree) == {"data"}


def test_contents_are_links_at_the_root(built: Outputs) -> None:
    image = open_image(built["list"])
    assert image.store_names == ["a", "b"]
    for name in "ab":
        assert image.tree[f"etc/{name}"].issym()
        assert image.read(image.resolve(f"/etc/{name}")) == f"the text of {name}\n".encode()
    assert image.tree["etc"].mode == 0o755


def test_contents_of_one_package(built: Outputs) -> None:
    image = open_image(built["single"])
    assert sorted(name for name in image.tree if not name.startswith("nix")) == [
        *("bin", "bin/deep", "bin/run", "bin/walk", "lib", "lib/deep", "lib/deep/text")
    ]
    assert image.tree[image.resolve("/bin/run")].mode == 0o555
    assert image.tree[image.resolve("/bin/walk")].mode == 0o555
    assert image.read(image.resolve("/bin/deep/text")) == b"text\n"
    assert image.tree["lib/deep"].isdir(), "directories are real, so that other packages can add to them"
    assert "nix-support" not in image.tree
    # What only nix-support mentions is in the closure all the same.
    assert image.store_names == ["a", "tree"]


def test_contents_may_be_paths(built: Outputs, nix: Nix) -> None:
    image = open_image(built["path"])
    assert image.read(image.resolve("/hello.nix")) == (nix.checkout / "examples/hello.nix").read_bytes()
    assert image.store_names == ["examples"]
    assert open_image(built["path-list"]).store_names == ["a", "examples"]


def test_store_path_that_is_a_symlink(built: Outputs) -> None:
    image = open_image(built["link"])
    assert image.store_names == ["a", "link"]
    (link,) = (name for name in image.all_store_paths if name.endswith("-link"))
    assert image.tree[link].issym() and image.tree[link].linkname.endswith("-a")
    assert image.read(image.resolve("/etc/a")) == b"the text of a\n"


def test_store_path_that_is_a_single_file(built: Outputs) -> None:
    for name in ("file", "to-file"):
        image = open_image(built[name])
        (path,) = image.all_store_paths
        assert image.tree[path].isfile() and image.tree[path].mode == 0o444
        assert set(image.tree) == {"nix", "nix/store", path}


def test_equal_files_of_two_packages_merge(built: Outputs) -> None:
    image = open_image(built["equal-files"])
    assert image.read(image.resolve("/etc/a")) == b"the text of a\n"
    assert image.store_names == ["a", "again"]


def test_copies_are_files_and_not_in_the_store_as_well(built: Outputs) -> None:
    image = open_image(built["copy"])
    assert image.tree["bin/run"].isfile() and image.tree["bin/run"].mode == 0o755
    assert image.tree["lib/deep/text"].isfile() and image.tree["lib/deep/text"].mode == 0o644
    assert image.tree["bin/deep"].linkname == "../lib/deep"
    assert image.tree["etc/b"].isfile()
    assert "nix-support" not in image.tree
    assert image.store_names == ["a"], "what a copy refers to is needed, the copied package itself is not"


def test_copies_are_in_the_store_where_something_refers_to_them(built: Outputs) -> None:
    assert open_image(built["copy-referred"]).store_names == ["a"]
    assert open_image(built["copy-selfish"]).store_names == ["selfish"]
    assert open_image(built["copy-config"]).store_names == ["a"]
    for name in ("copy-referred", "copy-config", "copy-contents"):
        image = open_image(built[name])
        assert image.read(image.resolve("/etc/a")) == b"the text of a\n"
    assert open_image(built["copy-contents"]).store_names == ["a"]
    # A path that was only copied below, and is wanted in the store above
    for name in ("on-copied", "on-copied-referred"):
        image = open_image(built[name])
        assert "a" in image.store_names
        assert image.read(image.resolve("/etc/a")) == b"the text of a\n"


def test_config_and_the_closure_of_all_that_it_mentions(built: Outputs) -> None:
    image = open_image(built["config"])
    assert image.store_names == ["a", "b", "c", "entry", "healthy", "single-file"]
    config = image.config
    assert config["Entrypoint"][0].endswith("-entry/share/entry") and config["Cmd"][0].endswith("-b")
    assert "User" not in config
    assert config["Volumes"] == {"/data": {}} and config["ExposedPorts"] == {"80/tcp": {}}
    assert config["Healthcheck"]["Test"][0] == "CMD"
    assert (config["StopTimeout"], config["Tty"], config["WorkingDir"]) == (3, True, "/w")
    assert all(name.startswith("nix") for name in image.tree), "what config mentions is not at /"


def test_layers_hold_their_packages_below_the_others(built: Outputs) -> None:
    image = open_image(built["layers"])
    assert [layer.store_paths for layer in image.layers] == [["a", "b"], ["c"], ["top"], []] or [
        sorted(layer.store_paths) for layer in image.layers
    ] == [["a", "b"], ["c"], ["top"], []]
    assert [name for name in image.tree if not name.startswith("nix")] == ["etc", "etc/top"]
    assert [entry["created_by"] for entry in image.json["history"]] == [
        *("store: a, b", "store: c", "store: top", "root: top")
    ]


# --- scripts


def test_script_runs_in_the_tree_of_the_contents(built: Outputs) -> None:
    image = open_image(built["script"])
    tree = image.tree
    assert tree["tmp"].mode == 0o1777 and tree["run"].mode == 0o700
    assert image.read("made") == b"made\n" and image.read("copied") == b"the text of a\n"
    assert tree["same"].islnk() and tree["same"].linkname == "made"
    assert tree["link"].issym() and tree["pipe"].isfifo()
    assert "etc/a" not in tree and tree["etc"].isdir()
    assert image.read("epoch") == b"1\n" and image.read("mask") == b"0022\n" and tree["empty"].size == 0
    assert {member.mtime for member in tree.values()} == {1}
    assert {(member.uid, member.gid, member.uname, member.gname) for member in tree.values()} == {(0, 0, "", "")}
    assert image.json["history"][-1]["created_by"] == "extraCommands"


@pytest.mark.parametrize(
    ("commands", "line"),
    [
        ("exit 7", "extraCommands: ended with exit code 7; its last words are above"),
        ("false; true", "extraCommands: line 1, `false; true`, ended with exit code 1; its last words are above"),
        (
            "\\n\\nmake() {\\n  (exit 3)\\n}\\n\\nmake\\n",
            "extraCommands: line 4, `(exit 3)`, ended with exit code 3; its last words are above",
        ),
        ("trap ':' ERR; false", "extraCommands: ended with exit code 1; its last words are above"),
        ("echo words >&2; kill -9 $$", "extraCommands: killed by signal 9; its last words are above"),
    ],
)
def test_failing_script_fails_the_build(nix: Nix, commands: str, line: str) -> None:
    error = nix.failure(f'build {{ name = "x"; extraCommands = "{commands}"; }}', build=True)
    assert f"\ndockertools-py derivation: {line}\n" in error
    assert "words" not in commands or "\nwords\n" in error


# --- numbers and words


def test_created_is_in_the_config_and_never_in_a_layer(built: Outputs) -> None:
    image, other = open_image(built["created"]), open_image(built["list"])
    assert image.json["created"] == "2001-02-03T04:05:06Z"
    assert {entry["created"] for entry in image.json["history"]} == {"2001-02-03T04:05:06Z"}
    assert image.layers[0].diff_id in {layer.diff_id for layer in other.layers}
    assert other.json["created"] == "1970-01-01T00:00:01Z"


def test_platform(built: Outputs) -> None:
    image = open_image(built["arm"])
    assert [image.json.get(key) for key in ("os", "architecture", "variant")] == ["linux", "arm", "v7"]
    machine = subprocess.run(["uname", "-m"], capture_output=True, text=True, check=True).stdout.strip()
    json_of = open_image(built["list"]).json
    assert json_of["architecture"] == {"x86_64": "amd64", "aarch64": "arm64"}[machine] and "variant" not in json_of


def test_owner_and_mtime(built: Outputs) -> None:
    image = open_image(built["owner"])
    assert {(m.uid, m.gid, m.mtime) for m in image.tree.values()} == {(1000, 100, 86400)}
    image = open_image(built["owner-script"])
    assert {(m.uid, m.gid, m.mtime) for m in image.tree.values()} == {(3000000, 7, 5)}
    assert {(m.uid, m.gid, m.mtime) for m in open_image(built["list"]).tree.values()} == {(0, 0, 1)}


def test_max_layers(built: Outputs) -> None:
    assert [sorted(layer.store_paths) for layer in open_image(built["two-layers"]).layers] == [["a", "b", "c"], []]
    assert [layer.store_paths for layer in open_image(built["three-layers"]).layers] == [["a"], ["b"], ["c"]]
    (layer,) = open_image(built["one-layer"]).layers
    assert {"a", "b"} < set(layer.store_paths)
    # Many roots: what does not fit by thirds is shared out, and what does not fit at all is joined at the bottom.
    many = open_image(built["many-roots"]).layers
    assert [len(layer.store_paths) for layer in many] == [1] * 9
    most = open_image(built["most-roots"]).layers
    assert [len(layer.store_paths) for layer in most] == [4] + [1] * 4
    # glibc is large, so it has a layer of its own below hello.
    layers = [layer.store_paths for layer in open_image(built["default-layers"]).layers]
    assert len(layers) == 3 and layers[0][0].startswith("glibc") and layers[1][0].startswith("hello")


# --- compression


def test_image_id_is_the_same_for_all_compressors(built: Outputs) -> None:
    images = {name: open_image(built[name]) for name in ("gz", "none", "zstd")}
    for name, image in images.items():
        assert {layer.compressor for layer in image.layers} == {name}
    assert len({image.id for image in images.values()}) == 1
    assert len({built[name].read_bytes() for name in images}) == 3


def test_compression_level(built: Outputs) -> None:
    quick, small = open_image(built["gz1"]), open_image(built["gz9"])
    assert quick.id == small.id
    assert sum(len(layer.blob) for layer in small.layers) < sum(len(layer.blob) for layer in quick.layers)
    assert {layer.compressor for layer in open_image(built["zstd19"]).layers} == {"zstd"}


def test_gzip_names_neither_time_nor_file(built: Outputs) -> None:
    for layer in open_image(built["gz"]).layers:
        assert layer.blob[:10] == bytes.fromhex("1f8b08000000000000ff")


# --- on top of another image of ours


def test_child_has_the_layers_of_its_base_and_nothing_twice(built: Outputs) -> None:
    base, child = open_image(built["base"]), open_image(built["child"])
    assert [layer.blob for layer in child.layers[: len(base.layers)]] == [layer.blob for layer in base.layers]
    assert child.store_names == ["a", "a", "b"], "the package share/a is called a, too"
    assert {"etc/a", "etc/b", "share/a"} <= set(child.tree)
    dates = [entry["created"] for entry in child.json["history"]]
    assert dates == ["1970-01-01T00:00:01Z"] * len(base.layers) + ["2002-01-01T00:00:00Z"] * (
        len(child.layers) - len(base.layers)
    )
    assert child.names == ["child:1"]


def test_child_inherits_the_config_as_a_dockerfile_does(built: Outputs) -> None:
    assert open_image(built["child"]).config == {
        "Entrypoint": ["child"],  # and so the base's Cmd is gone
        "Env": ["A=1", "B=2", "C=2"],
        "Labels": {"a": "1", "b": "2"},
        "User": "1",
        "Volumes": {"/a": {}, "/b": {}},
    }
    config = open_image(built["only-config"]).config
    assert config["Cmd"] == ["x"] and config["Env"] == ["A=1", "B=1"]
    base, only_config = open_image(built["base"]), open_image(built["only-config"])
    assert [layer.diff_id for layer in base.layers] == [layer.diff_id for layer in only_config.layers]


def test_grandchild_has_all(built: Outputs) -> None:
    image = open_image(built["grandchild"])
    assert image.store_names == ["a", "b", "c"]
    for name in "abc":
        assert image.read(image.resolve(f"/etc/{name}")) == f"the text of {name}\n".encode()


def test_base_of_another_compressor_has_the_same_id(built: Outputs) -> None:
    gz, none = open_image(built["child-gz"]), open_image(built["child-none"])
    assert gz.id == none.id
    assert {layer.compressor for layer in none.layers} == {"none"}


def test_a_long_chain_of_bases(built: Outputs) -> None:
    """Bounds on layers, all that evaluation knows, must not use up the 125 after a few small images."""
    image = open_image(built["long-chain"])
    assert image.store_names == ["a", *(f"n{n}" for n in range(6))] and len(image.layers) == 8


# --- tars of ours


def test_tarball_of_ours_is_taken_apart(built: Outputs) -> None:
    image = open_image(built["tarball"])
    assert image.store_names == ["a"] and image.read(image.resolve("/etc/a")) == b"the text of a\n"
    image = open_image(built["tarballs"])
    assert image.store_names == ["a", "b"], "a is the base's, c only copied"
    for name in "abc":
        assert image.read(image.resolve(f"/etc/{name}")) == f"the text of {name}\n".encode()
    assert image.tree["etc/c"].isfile()


# --- attributes


def test_override(built: Outputs) -> None:
    assert built["override"] == built["overridden-output"]
    image = open_image(built["override-function"])
    assert image.names == ["xy:1"] and image.store_names == ["a"]
    assert open_image(built["override-twice"]).names == ["z:2"]


def test_attributes(nix: Nix) -> None:
    value = evaluate(
        nix,
        """let image = build { name = "Reg/Z"; tag = "T"; contents = [ a ]; config.Cmd = [ b ]; meta.description = "d"; }; in {
          inherit (image) imageName imageTag imageRef config type;
          layers = map (layer: layer.name) image.layers;
          description = image.meta.description;
        }""",
    )
    assert isinstance(value, dict)
    (command,) = value.pop("config")["Cmd"]
    assert command.endswith("-b")
    assert value == {
        "imageName": "reg/z",
        "imageTag": "T",
        "imageRef": "reg/z:T",
        "type": "derivation",
        "layers": ["a-layers", "b-layers", "root-layer"],
        "description": "d",
    }


def test_all_forms_are_the_same_image(built: Outputs) -> None:
    image = open_image(built["attributes-plain"])
    assert built["attributes-archive"] == built["attributes-plain"]
    (layout,) = open_oci(built["attributes-oci"])
    (archive,) = open_oci(built["attributes-oci-archive"])
    assert layout.id == archive.id == image.id
    assert layout.names == archive.names == ["docker.io/library/z:1"]
    assert {layer.compressor for layer in [*layout.layers, *archive.layers]} == {"gz"}
    assert not (built["attributes-oci"] / "manifest.json").exists()
    config = (built["attributes-description"] / "config.json").read_bytes()
    assert sha256(config) == image.id
    described = json.loads((built["attributes-description"] / "image.json").read_bytes())
    assert [layer["diffId"] for layer in described["layers"]] == [layer.diff_id for layer in image.layers]


def streamed(script: Path, folder: Path, *arguments: str) -> Image:
    archive = folder / "streamed.tar"
    with archive.open("wb") as out:
        subprocess.run([script, *arguments], stdout=out, check=True, capture_output=False)
    return open_image(archive)


def test_stream_writes_the_same_image(built: Outputs, tmp_path: Path) -> None:
    image = open_image(built["attributes-plain"])
    stream = streamed(built["attributes-stream"], tmp_path)
    assert stream.id == image.id and stream.names == ["z:1"]
    assert {layer.compressor for layer in stream.layers} == {"none"}


def test_stream_under_another_name(built: Outputs, tmp_path: Path) -> None:
    assert streamed(built["attributes-stream"], tmp_path, "-t", "other:tag").names == ["other:tag"]
    two = streamed(built["attributes-stream"], tmp_path, "-t", "one:1", "--tag", "two:2")
    assert two.names == ["one:1", "two:2"]
    (name,) = streamed(built["attributes-stream-hash"], tmp_path).names
    assert name.startswith("z:") and len(name) == 34


# --- bases and tars of others


@pytest.fixture(scope="module")
def foreign(build_all: Build, built: Outputs, tmp_path_factory: pytest.TempPathFactory) -> Outputs:
    """Images on top of what was made by others, of files that lie in a folder."""
    folder = tmp_path_factory.mktemp("foreign")
    lower = make_tar({"etc/lower": b"lower\n", "etc/both": b"lower\n"})
    upper = make_tar({"etc/upper": b"upper\n", "etc/both": b"upper\n"}, "w:gz")
    make_docker_archive(folder / "old.tar", [lower, upper], Env=["BASE=1"], Cmd=["base"])
    (folder / "old.tar.gz").write_bytes(subprocess.check_output(["gzip", "-c", folder / "old.tar"]))
    (folder / "old.tar.xz").write_bytes(subprocess.check_output(["xz", "-c", folder / "old.tar"]))
    (folder / "old.tar.zst").write_bytes(subprocess.check_output(["zstd", "-qc", folder / "old.tar"]))
    for compression in ("gz", "xz", "bz2", ""):
        name = f"root.tar{compression and '.'}{compression}"
        (folder / name).write_bytes(make_tar({"etc/tar": compression.encode()}, f"w:{compression}"))
    for kind in ("docker-archive", "oci-archive"):
        target = folder / f"{kind}.tar"
        subprocess.run(
            ["skopeo", "--insecure-policy", "copy", "-q", f"docker-archive:{built['base']}", f"{kind}:{target}:kept:1"],
            check=True,
        )
    subprocess.run(
        ["skopeo", "--insecure-policy", "copy", "-q", f"docker-archive:{built['base']}", f"oci:{folder}/layout:kept:1"],
        check=True,
    )
    (folder / "several.tar").write_bytes(built_bundle(build_all).read_bytes())
    on = {
        "old": f"fromImage = {folder}/old.tar;",
        "old-string": f'fromImage = "{folder}/old.tar";',
        "old-gz": f"fromImage = {folder}/old.tar.gz;",
        "old-xz": f"fromImage = {folder}/old.tar.xz;",
        "old-zst": f"fromImage = {folder}/old.tar.zst;",
        "docker-archive": f"fromImage = {folder}/docker-archive.tar;",
        "oci-archive": f"fromImage = {folder}/oci-archive.tar;",
        "layout": f"fromImage = {folder}/layout;",
        "several-name": f'fromImage = {folder}/several.tar; fromImageName = "two";',
        "several-tag": f'fromImage = {folder}/several.tar; fromImageTag = "1";',
        "several-both": f'fromImage = {folder}/several.tar; fromImageName = "two"; fromImageTag = "2";',
        "root-one": f"addTarball = {folder}/root.tar.xz;",
        "root-all": "addTarball = [ "
        + " ".join(f"{folder}/root.tar{end}" for end in (".gz", ".xz", ".bz2", ""))
        + " ];",
        "root-base": f"fromImage = {folder}/old.tar; addTarball = {folder}/root.tar.gz;",
    }
    # Those that read the same archive in another form need no packages on top.
    plain = ("old-gz", "old-xz", "old-zst", "several-name", "several-tag", "several-both", "root-one", "root-base")
    expressions = {
        name: f'build {{ name = "on"; tag = "1"; {"" if name in plain else "contents = [ a b ];"} {arguments} }}'
        for name, arguments in on.items()
    }
    return build_all(expressions, PRELUDE)


def built_bundle(build_all: Build) -> Path:
    one = 'build { name = "one"; tag = "1"; contents = a; }'
    expression = f'mergeImages [ ({one}) (base.override {{ name = "two"; tag = "2"; }}) ]'
    return build_all({"bundle": expression}, PRELUDE)["bundle"]


@pytest.mark.parametrize("name", ["old", "old-string", "old-gz", "old-xz", "old-zst"])
def test_docker_archive_as_base(foreign: Outputs, name: str) -> None:
    image = open_image(foreign[name])
    assert [layer.compressor for layer in image.layers[:2]] == ["gz", "gz"]
    assert image.read("etc/both") == b"upper\n" and image.read("etc/lower") == b"lower\n"
    if name in ("old", "old-string"):
        assert image.store_names == ["a", "b"] and image.read(image.resolve("/etc/b")) == b"the text of b\n"
    assert image.config == {"Env": ["BASE=1"], "Cmd": ["base"]}
    assert [entry["created_by"] for entry in image.json["history"]][:2] == ["step 0", "step 1"]


@pytest.mark.parametrize("name", ["docker-archive", "oci-archive", "layout"])
def test_archive_of_skopeo_as_base(built: Outputs, foreign: Outputs, name: str) -> None:
    """Its store paths are known, so a is not added again."""
    base, image = open_image(built["base"]), open_image(foreign[name])
    assert [layer.diff_id for layer in image.layers[: len(base.layers)]] == [layer.diff_id for layer in base.layers]
    assert image.store_names == ["a", "b"]
    assert image.config == base.config
    assert {layer.compressor for layer in image.layers} == {"gz"}


def test_choosing_a_base_of_several(built: Outputs, foreign: Outputs) -> None:
    base = open_image(built["base"])
    for name in ("several-name", "several-both"):
        assert open_image(foreign[name]).config == base.config
    assert open_image(foreign["several-tag"]).config == {}


def test_foreign_tars(foreign: Outputs) -> None:
    """Of any compression, each a layer as it is, below the others; what no engine reads is compressed anew."""
    image = open_image(foreign["root-all"])
    tars = image.layers[:4]
    assert [layer.read("etc/tar") for layer in tars] == [b"gz", b"xz", b"bz2", b""]
    assert [layer.names for layer in tars] == [["etc/tar"]] * 4
    assert {layer.compressor for layer in image.layers} == {"gz"}
    history = [entry["created_by"] for entry in image.json["history"]]
    assert history[:4] == ["tar: root.tar.gz", "tar: root.tar.xz", "tar: root.tar.bz2", "tar: root.tar"]
    assert image.store_names == ["a", "b"] and image.read("etc/tar") == b""
    assert open_image(foreign["root-one"]).read("etc/tar") == b"xz"


def test_foreign_tars_above_a_base(foreign: Outputs) -> None:
    image = open_image(foreign["root-base"])
    assert image.layers[2].names == ["etc/tar"] and image.read("etc/lower") == b"lower\n"


def test_archive_members_are_in_an_order_for_readers_that_cannot_seek(built: Outputs) -> None:
    listing = subprocess.check_output(["tar", "-tf", built["gz"]], text=True).split()
    files = [name for name in listing if not name.endswith("/")]
    assert files[:3] == ["oci-layout", "index.json", "manifest.json"]
    assert len(open_archive(built["gz"])) == 1


def test_an_architecture_in_other_words_than_gos(nix: Nix) -> None:
    """No engine would choose the image, and evaluation knows."""
    for function in ("build", "buildImage", "buildLayeredImage"):
        said = nix.failure(f'({function} {{ name = "x"; architecture = "aarch64"; }}).imageRef')
        assert f'dockerTools.{function}: `architecture` is "aarch64": write null or an architecture in Go' in said
