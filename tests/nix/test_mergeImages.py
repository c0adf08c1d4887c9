"""mergeImages: what is in the composed image, and that composing copies blobs."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Nix
from tests.nix.building import Build, Outputs
from tests.nix.opened import Image, make_docker_archive, make_tar, open_archive, open_image, open_oci

FUNCTION = "mergeImages"
pytestmark = pytest.mark.xdist_group("nix-mergeImages")

PRELUDE = """
  etc = name: writeTextDir "etc/${name}" "the text of ${name}\\n";
  a = etc "a"; b = etc "b"; c = etc "c"; d = etc "d";
  layered = name: layers: config: build { inherit name layers config; tag = "1"; };
  one = layered "one" [ [ a ] [ b ] ] {
    Env = [ "A=1" "B=1" ]; Cmd = [ "one" ]; User = "1"; Labels = { a = "1"; b = "1"; }; ExposedPorts."1/tcp" = { };
  };
  two = layered "two" [ [ c ] ] {
    Env = [ "B=2" "C=2" ]; Cmd = [ "two" ]; Labels.b = "2"; ExposedPorts."2/udp" = { }; Volumes."/two" = { };
  };
  three = layered "three" [ [ d ] ] { Entrypoint = [ "three" ]; };
  shares = layered "shares" [ [ b c ] [ d ] ] { };
  within = layered "within" [ [ b ] ] { };
  links = name: contents: build { inherit name contents; tag = "1"; };
  accounts = { name = "merged"; tag = "1"; images = [ app web preset ]; };
  app = build { name = "app"; tag = "1"; users.app = { uid = 1000; extraGroups = [ "logs" ]; }; groups.logs.gid = 200; };
  web = build {
    name = "web"; tag = "1"; rootfs = "minimal"; users.web = { uid = 1001; extraGroups = [ "logs" ]; }; groups.logs.gid = 200;
    fakeRootCommands = "mkdir srv; chown 1001:200 srv";
  };
  preset = build { name = "preset"; tag = "1"; rootfs = "minimal"; };
  preset2 = build { name = "preset2"; tag = "1"; rootfs = "minimal"; layers = [ a ]; };
  on = name: args: build ({ inherit name; tag = "1"; fromImage = app; } // args);
  changes = on "changes" { users.app = { uid = 1000; shell = "/bin/other"; }; };
  inherits = on "inherits" { contents = [ a ]; };
  adds = on "adds" { users.new.uid = 5; };
  useradd = name: uid: build {
    name = "useradd-${name}"; tag = "1";
    runAsRoot = ''
      ${shadowSetup}
      useradd --uid ${toString uid} --no-create-home --shell /bin/x ${name}
      useradd --uid 9${toString uid} y${name}
      echo ${name}:100000:65536 | tee /etc/subuid > /etc/subgid # as useradd does of who is no system user
    '';
  };
  copies = build { name = "copies"; tag = "1"; copyToRoot = a; };
  plain = build { name = "plain"; tag = "1"; layers = [ a ]; compressor = "none"; };
"""

BUILDS = {
    **{name: name for name in ("one", "two", "three", "shares", "within", "copies", "plain")},
    "image12": 'mergeImages { name = "Merged"; tag = "1"; image1 = one; image2 = two; }',
    "image21": 'mergeImages { name = "merged"; tag = "1"; image1 = two; image2 = one; }',
    "base-image": 'mergeImages { name = "merged"; tag = "1"; baseImage = one; image = two; }',
    "images": 'mergeImages { name = "merged"; tag = "1"; images = [ one two three ]; }',
    "images-one": 'mergeImages { name = "merged"; tag = "1"; images = [ one ]; }',
    "split": 'mergeImages { name = "merged"; tag = "1"; image1 = one; image2 = shares; }',
    "nothing-new": 'mergeImages { name = "merged"; tag = "1"; image1 = one; image2 = within; }',
    "twice": 'mergeImages { name = "merged"; tag = "1"; images = [ one one ]; }',
    "links": 'mergeImages { name = "merged"; tag = "1"; image1 = links "x" [ a b ]; image2 = links "y" [ b c ]; }',
    "copied-1": 'mergeImages { name = "merged"; tag = "1"; image1 = copies; image2 = links "x" [ a ]; }',
    "copied-2": 'mergeImages { name = "merged"; tag = "1"; image1 = links "x" [ a ]; image2 = copies; }',
    "copied-mentioned": 'mergeImages { name = "merged"; tag = "1"; images = [ copies two ]; config.Cmd = [ a ]; }',
    "configured": """mergeImages {
        name = "merged"; tag = "1"; image1 = one; image2 = two; created = "2003-01-01T00:00:00Z"; compressor = "zstd";
        config = { Cmd = [ "${d}/etc/d" ]; Env = [ "C=3" ]; };
      }""",
    "no-compressor": 'mergeImages { name = "merged"; tag = "1"; image1 = one; image2 = two; compressor = "none"; }',
    "nested": """mergeImages {
        name = "nested"; tag = "1"; image2 = three;
        image1 = mergeImages { name = "inner"; tag = "1"; image1 = one; image2 = two; };
      }""",
    "as-base": """build {
        name = "on"; tag = "1"; contents = [ a d ];
        fromImage = mergeImages { name = "inner"; tag = "1"; image1 = one; image2 = two; };
      }""",
    "override": '(mergeImages { name = "x"; tag = "1"; image1 = one; image2 = two; }).override { name = "merged"; }',
    "oci": '(mergeImages { name = "merged"; tag = "1"; image1 = one; image2 = two; }).oci',
    "stream": '(mergeImages { name = "merged"; tag = "1"; image1 = one; image2 = two; }).stream',
    "accounts": "mergeImages accounts",
    "accounts-again": """mergeImages (accounts // {
        images = [ app (mergeImages { name = "y"; tag = "1"; images = [ app web ]; }) preset ];
      })""",
    "accounts-child": """build {
        name = "k"; tag = "1"; fromImage = mergeImages accounts; users.kid.uid = 7; config.User = "web";
      }""",
    "accounts-file": 'mergeImages (accounts // { images = [ app.archive (web.override { compressor = "zstd"; }).archive ]; })',
    "accounts-based": "mergeImages (accounts // { images = [ changes inherits adds ]; })",
    "accounts-override": 'mergeImages (accounts // { images = [ app (useradd "app" 7) ]; allowOverride = true; })',
    "accounts-scripts": 'mergeImages (accounts // { images = [ (useradd "one" 1) (useradd "two" 2) ]; })',
    "accounts-alike": "mergeImages (accounts // { images = [ preset preset2 ]; })",
    "bundle": "mergeImages [ one two ]",
    "bundle-one": "mergeImages [ one ]",
    "bundle-mixed": 'mergeImages [ plain (one.override { compressor = "zstd"; }) ]',
    "bundle-merged": 'mergeImages [ one (mergeImages { name = "merged"; tag = "1"; image1 = one; image2 = two; }) ]',
}


@pytest.fixture(scope="module")
def built(build_all: Build) -> Outputs:
    return build_all(BUILDS, PRELUDE)


def blobs(image: Image) -> list[bytes]:
    return [layer.blob for layer in image.layers]


@pytest.mark.parametrize("form", ["image12", "base-image", "override"])
def test_two_images(built: Outputs, form: str) -> None:
    one, two, image = (open_image(built[name]) for name in ("one", "two", form))
    assert image.names == ["merged:1"]
    assert blobs(image) == blobs(one) + blobs(two), "layers are copied"
    assert image.store_names == ["a", "b", "c"]
    assert [entry["created_by"] for entry in image.json["history"]] == ["store: a", "store: b", "store: c"]


def test_configs_merge_left_to_right(built: Outputs) -> None:
    assert open_image(built["image12"]).config == {
        "Env": ["A=1", "B=2", "C=2"],
        "Cmd": ["two"],
        "User": "1",
        "Labels": {"a": "1", "b": "2"},
        "ExposedPorts": {"1/tcp": {}, "2/udp": {}},
        "Volumes": {"/two": {}},
    }
    config = open_image(built["image21"]).config
    assert config["Env"] == ["B=1", "C=2", "A=1"] and config["Cmd"] == ["one"] and config["Labels"]["b"] == "1"


def test_an_entrypoint_drops_the_commands_before_it(built: Outputs) -> None:
    config = open_image(built["images"]).config
    assert config["Entrypoint"] == ["three"] and "Cmd" not in config and config["Env"] == ["A=1", "B=2", "C=2"]


def test_list_of_images(built: Outputs) -> None:
    one, two, three, image = (open_image(built[name]) for name in ("one", "two", "three", "images"))
    assert blobs(image) == blobs(one) + blobs(two) + blobs(three)
    assert blobs(open_image(built["images-one"])) == blobs(one)


def test_only_a_layer_that_holds_paths_twice_is_made_again(built: Outputs) -> None:
    one, shares, image = (open_image(built[name]) for name in ("one", "shares", "split"))
    assert [layer.store_paths for layer in shares.layers] == [["b", "c"], ["d"]] or [
        sorted(layer.store_paths) for layer in shares.layers
    ] == [["b", "c"], ["d"]]
    assert [layer.store_paths for layer in image.layers] == [["a"], ["b"], ["c"], ["d"]]
    again = blobs(image)
    assert again[:2] == blobs(one) and again[3] == blobs(shares)[1] and again[2] not in blobs(shares)


def test_a_layer_that_brings_nothing_is_left_out(built: Outputs) -> None:
    one = open_image(built["one"])
    assert blobs(open_image(built["nothing-new"])) == blobs(one) == blobs(open_image(built["twice"]))


def test_links_of_all_are_at_the_root(built: Outputs) -> None:
    image = open_image(built["links"])
    assert image.store_names == ["a", "b", "c"]
    for name in "abc":
        assert image.read(image.resolve(f"/etc/{name}")) == f"the text of {name}\n".encode()


@pytest.mark.parametrize("form", ["copied-1", "copied-2", "copied-mentioned"])
def test_what_one_only_copies_is_whole_where_another_wants_it(built: Outputs, form: str) -> None:
    image = open_image(built[form])
    assert "a" in image.store_names
    assert image.read(image.resolve("/etc/a")) == b"the text of a\n"


def test_config_on_top_brings_its_closure(built: Outputs) -> None:
    image = open_image(built["configured"])
    assert image.store_names == ["a", "b", "c", "d"]
    assert image.config["Cmd"][0].endswith("-d/etc/d") and image.config["Env"] == ["A=1", "B=2", "C=3"]
    assert image.json["created"] == "2003-01-01T00:00:00Z"
    assert {layer.compressor for layer in image.layers} == {"zstd"}


def test_the_image_id_is_the_same_for_all_forms(built: Outputs, tmp_path: Path) -> None:
    image = open_image(built["image12"])
    assert open_image(built["no-compressor"]).id == image.id
    assert {layer.compressor for layer in open_image(built["no-compressor"]).layers} == {"none"}
    (layout,) = open_oci(built["oci"])
    assert layout.id == image.id and blobs(layout) == blobs(image)
    with (tmp_path / "stream.tar").open("wb") as out:
        subprocess.run([built["stream"]], stdout=out, check=True)
    assert open_image(tmp_path / "stream.tar").id == image.id


def test_merged_images_are_images_like_others(built: Outputs) -> None:
    one, two, three = (open_image(built[name]) for name in ("one", "two", "three"))
    assert blobs(open_image(built["nested"])) == blobs(one) + blobs(two) + blobs(three)
    image = open_image(built["as-base"])
    assert blobs(image)[:3] == blobs(one) + blobs(two)
    assert image.store_names == ["a", "b", "c", "d"] and image.resolve("/etc/a") and image.resolve("/etc/d")


def accounts(image: Image) -> dict[str, list[str]]:
    return {name: image.read(f"etc/{name}").decode().splitlines() for name in ("passwd", "group", "shadow")}


ACCOUNTS = {
    "passwd": [
        "root:x:0:0:root:/root:/bin/sh",
        "nobody:x:65534:65534:nobody:/var/empty:/sbin/nologin",
        "app:x:1000:1000::/home/app:/bin/sh",
        "web:x:1001:1001::/home/web:/bin/sh",
    ],
    "group": ["root:x:0:", "nobody:x:65534:", "logs:x:200:app,web", "app:x:1000:", "web:x:1001:"],
    "shadow": ["root:!:::::::", "nobody:!:::::::", "app:!:::::::", "web:!:::::::"],
}


@pytest.mark.parametrize("form", ["accounts", "accounts-again", "accounts-file"])
def test_users_and_groups_of_all_are_in_the_result(built: Outputs, form: str) -> None:
    image = open_image(built[form])
    assert accounts(image) == ACCOUNTS
    assert image.layers[-1].names == ["etc", "etc/group", "etc/passwd", "etc/shadow"]
    assert image.json["history"][-1]["created_by"] == "users and groups of the merged images"
    modes = {member.name: (member.mode, member.uid, member.gid) for member in image.layers[-1].members}
    assert modes["etc/passwd"] == (0o644, 0, 0) and modes["etc/shadow"] == (0o600, 0, 0)
    for name, uid, gid in (("home/app", 1000, 1000), ("home/web", 1001, 1001), ("srv", 1001, 200)):
        assert (image.tree[name].uid, image.tree[name].gid) == (uid, gid)


def test_an_image_on_top_knows_them(built: Outputs) -> None:
    image = open_image(built["accounts-child"])
    assert accounts(image)["passwd"] == [*ACCOUNTS["passwd"], "kid:x:7:7::/home/kid:/bin/sh"]


def test_of_a_base_of_both_what_was_changed_counts(built: Outputs) -> None:
    passwd = accounts(open_image(built["accounts-based"]))["passwd"]
    assert passwd[2:] == ["app:x:1000:1000::/home/app:/bin/other", "new:x:5:5::/home/new:/bin/sh"]


def test_the_last_image_may_win_and_nobody_is_lost(built: Outputs) -> None:
    passwd = accounts(open_image(built["accounts-override"]))["passwd"]
    assert [line.split(":")[0] for line in passwd] == ["root", "nobody", "app", "yapp"]
    assert passwd[2] == "app:x:7:100::/home/app:/bin/x"


def test_accounts_that_scripts_made(built: Outputs) -> None:
    image = open_image(built["accounts-scripts"])
    names = [line.split(":")[0] for line in accounts(image)["passwd"]]
    assert names == ["root", "one", "yone", "two", "ytwo"] == [line.split(":")[0] for line in accounts(image)["shadow"]]
    for name in ("etc/subuid", "etc/subgid"):
        assert image.read(name) == b"one:100000:65536\ntwo:165536:65536\n"
        assert f"mergeImages: /{name}: `two` of useradd-two:1 has 165536:65536 now, was 100000:65536\n" in root_log(
            built.derivation("accounts-scripts")
        )


def test_equal_accounts_need_no_layer(built: Outputs) -> None:
    image = open_image(built["accounts-alike"])
    assert "users" not in image.json["history"][-1]["created_by"] and image.tree["etc/passwd"].issym()


def test_what_was_merged_is_said(built: Outputs) -> None:
    log = root_log(built.derivation("accounts"))
    for line in (
        "/etc/passwd: web of web:1 added",
        "/etc/passwd: `root` is not the same in description, home in app:1 and web:1; the line of app:1 counts",
        "/etc/group: web of web:1 added",
    ):
        assert f"mergeImages: {line}\n" in log
    assert root_log(built.derivation("accounts-alike")) == ""


def root_log(image: str) -> str:
    """What was said by the derivation that has merged accounts."""
    needed = subprocess.check_output(["nix-store", "--query", "--requisites", image], text=True).split()
    [root] = [path for path in needed if path.endswith("-merged-root.drv")]
    return subprocess.check_output(["nix-store", "--read-log", root], text=True)


def test_accounts_that_do_not_fit_together(nix: Nix) -> None:
    said = nix.failure(
        f"""let {PRELUDE} in mergeImages {{
          name = "x"; images = [ app (build {{ name = "other"; tag = "2"; users.app.uid = 7; users.srv.uid = 1000; }}) ];
        }}""",
        build=True,
    )
    assert (
        "dockertools-py derivation: mergeImages: `app` in /etc/passwd is 1000:1000 in app:1 and 7:7 in other:2: give it the "
        "same ids in both, or allowOverride = true if the last image shall win; 1000 in /etc/passwd is `app` in app:1 and "
        "`srv` in other:2, so what belongs to one would be the other's: give one of them another number, or "
    ) in said


def test_modes_that_differ_are_no_matter_of_accounts(nix: Nix) -> None:
    commands = "mkdir etc; echo > etc/passwd; chmod ${mode} etc/passwd"
    image = f'name: mode: build {{ inherit name; tag = "1"; extraCommands = "{commands}"; }}'
    said = nix.failure(
        f'let f = {image}; in mergeImages {{ name = "x"; images = [ (f "a" "600") (f "b" "644") ]; }}', build=True
    )
    assert "mergeImages: /etc/passwd of a:1 would change: b:1 shows something else there; " in said


def test_tag_null_is_the_hash(nix: Nix) -> None:
    value = nix.eval(f"""let {PRELUDE} image = mergeImages {{ name = "M"; image1 = one; image2 = two; }}; in
        [ image.imageRef (builtins.baseNameOf image.description.outPath) image.imageName ]""")
    reference, output, name = value
    assert reference == f"m:{output[:32]}" and name == "m"


# --- several in one archive


def test_bundle_is_one_archive_of_all(built: Outputs) -> None:
    images = open_archive(built["bundle"])
    assert [image.names for image in images] == [["one:1"], ["two:1"]]
    assert [image.id for image in images] == [open_image(built[name]).id for name in ("one", "two")]
    assert [blobs(image) for image in images] == [blobs(open_image(built[name])) for name in ("one", "two")]
    assert [image.names for image in open_oci(built["bundle"])] == [
        ["docker.io/library/one:1"],
        ["docker.io/library/two:1"],
    ]
    assert [image.names for image in open_archive(built["bundle-one"])] == [["one:1"]]


def test_bundle_keeps_the_compression_that_its_images_have(built: Outputs) -> None:
    plain, one = open_archive(built["bundle-mixed"])
    assert plain.id == open_image(built["plain"]).id and one.id == open_image(built["one"]).id
    kept = {image.names[0]: {layer.compressor for layer in image.layers} for image in (plain, one)}
    # A layer that two images share is in the archive once, so the choice is the archive's; it must only be one that loads.
    assert set().union(*kept.values()) <= {"none", "gz", "zstd"}


def test_bundled_images_share_layers(built: Outputs) -> None:
    one, merged = open_archive(built["bundle-merged"])
    assert blobs(merged)[:2] == blobs(one)


# --- with what others made


@pytest.fixture(scope="module")
def foreign(build_all: Build, built: Outputs, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outputs]:
    folder = tmp_path_factory.mktemp("foreign")
    gz, none = make_tar({"etc/gz": b"gz\n"}, "w:gz"), make_tar({"etc/none": b"none\n"})
    make_docker_archive(folder / "old.tar", [gz, none], name="old:1", Env=["OLD=1"])
    (folder / "old.tar.xz").write_bytes(subprocess.check_output(["xz", "-c", folder / "old.tar"]))
    (folder / "several.tar").write_bytes(built["bundle"].read_bytes())
    subprocess.run(
        ["skopeo", "--insecure-policy", "copy", "-q", f"docker-archive:{built['one']}", f"oci:{folder}/layout:kept:1"],
        check=True,
    )
    outputs = build_all(
        {
            "bundle": f"mergeImages [ two {folder}/old.tar ]",
            "bundle-xz": f"mergeImages [ {folder}/old.tar.xz two ]",
            "bundle-several": f"mergeImages [ {folder}/several.tar three ]",
            "bundle-layout": f"mergeImages [ {folder}/layout two ]",
            "merged": f'mergeImages {{ name = "m"; tag = "1"; baseImage = {folder}/old.tar; image = two; }}',
            "merged-paths": f'mergeImages {{ name = "m"; tag = "1"; image1 = {folder}/layout; image2 = shares; }}',
        },
        PRELUDE,
    )
    return folder, outputs


@pytest.mark.parametrize(("name", "number"), [("bundle", 1), ("bundle-xz", 0)])
def test_bundle_with_an_archive_of_others(
    built: Outputs, foreign: tuple[Path, Outputs], name: str, number: int
) -> None:
    images = open_archive(foreign[1][name])
    old, two = images[number], images[1 - number]
    assert two.id == open_image(built["two"]).id and blobs(two) == blobs(open_image(built["two"]))
    assert old.names == ["old:1"] and old.config == {"Env": ["OLD=1"]}
    assert old.read("etc/gz") == b"gz\n" and old.read("etc/none") == b"none\n"


def test_bundle_takes_all_images_of_an_archive_and_of_a_layout(built: Outputs, foreign: tuple[Path, Outputs]) -> None:
    images = open_archive(foreign[1]["bundle-several"])
    assert [image.names for image in images] == [["one:1"], ["two:1"], ["three:1"]]
    assert [image.id for image in images] == [open_image(built[name]).id for name in ("one", "two", "three")]
    kept, _ = open_archive(foreign[1]["bundle-layout"])
    layout = foreign[0] / "layout"
    (entry,) = json.loads((layout / "index.json").read_bytes())["manifests"]
    manifest = json.loads((layout / "blobs" / entry["digest"].replace(":", "/")).read_bytes())
    assert kept.id == manifest["config"]["digest"], "skopeo wrote the config anew, and what it wrote is kept"
    assert kept.names == ["kept:1"]


def test_composing_with_an_archive_of_others(built: Outputs, foreign: tuple[Path, Outputs]) -> None:
    image = open_image(foreign[1]["merged"])
    assert image.config["Env"] == ["OLD=1", "B=2", "C=2"]
    assert blobs(image)[2:] == blobs(open_image(built["two"]))
    with_paths = open_image(foreign[1]["merged-paths"])
    assert with_paths.store_names == ["a", "b", "c", "d"], "each store path once, whoever wrote the layer"
    assert json.loads(with_paths.config_bytes)["os"] == "linux"
