"""nixpkgs' dockerTools by its own names: what each function returns, under which name, and in which form."""

import gzip
import io
import json
import subprocess
import zlib
from pathlib import Path

import pytest

from tests.conftest import Nix
from tests.nix.building import Build, Outputs
from tests.nix.opened import Image, compressor, make_docker_archive, make_tar, name_of, open_image, plain

FUNCTIONS = (
    "buildImage",
    "buildLayeredImage",
    "streamLayeredImage",
    "binSh",
    "usrBinEnv",
    "caCertificates",
    "fakeNss",
    "shadowSetup",
)
pytestmark = pytest.mark.xdist_group("nix-dropin")

PRELUDE = """
  etc = writeTextDir "etc/a" "the text of a\\n";
  more = runCommand "more" { } "mkdir -p $out/share/doc; echo b > $out/share/doc/b; ln -s share $out/other; ln -s . $out/self";
  joined = buildEnv { name = "joined"; paths = [ more ]; pathsToLink = [ "/share" ]; };
  plain = buildImage { name = "Team/Plain"; copyToRoot = [ hello ]; config.Cmd = [ "/bin/hello" ]; };
  layered = buildLayeredImage { name = "registry.example.org/team/layered"; contents = [ hello etc ]; };
  base = buildLayeredImage { name = "base"; tag = "1"; contents = [ bash ]; config.Env = [ "A=1" "B=1" ]; config.User = "7"; };
"""
BUILDS = {
    "plain": "plain",
    "plain-zstd": 'plain.override { compressor = "zstd"; }',
    "plain-none": 'plain.override { compressor = "none"; }',
    "layered": "layered",
    "layered-zstd": 'layered.override { compressor = "zstd"; tag = "z"; }',
    "layered-none": 'layered.override (old: { compressor = "none"; })',
    "stream": 'streamLayeredImage { name = "s"; contents = hello; passthru.mine = 1; }',
    "stream-of-layered": "layered.stream",
    "conf": "layered.stream.conf",
    "stream-script": "layered.stream.streamScript",
    "child": 'buildImage { name = "child"; fromImage = base; copyToRoot = etc; config.Env = [ "B=2" ]; }',
    "child-all": """buildLayeredImage {
      name = "c"; fromImage = base; contents = etc; config.Env = [ "B=2" ]; inheritConfig = "all";
    }""",
    "owned": """buildImage {
      name = "owned"; copyToRoot = [ etc ]; uid = 1000; gid = 100; config.Cmd = [ "${hello}/bin/hello" ];
    }""",
    "owned-layered": 'buildLayeredImage { name = "o"; contents = [ etc ]; uid = 1000; gid = 100; uname = "u"; gname = "g"; }',
    "no-store": 'buildLayeredImage { name = "n"; contents = [ etc ]; includeStorePaths = false; }',
    "nothing": 'buildLayeredImage { name = "nothing"; config = null; }',
    "opened-links": 'buildImage { name = "l"; copyToRoot = [ joined more ]; }',
    "kept-links": 'buildImage { name = "l"; copyToRoot = [ more ]; keepContentsDirlinks = true; }',
    "opened-layered": 'buildLayeredImage { name = "l"; contents = [ joined etc ]; }',
    "helpers": 'buildLayeredImage { name = "h"; contents = [ binSh usrBinEnv caCertificates fakeNss ]; }',
    "nss": 'fakeNss.override { extraPasswdLines = [ "app:x:7:8::/:/bin/sh" ]; extraGroupLines = [ "app:x:8:" ]; }',
    "keys": 'buildImage { name = "k"; config = { EntryPoint = [ (lib.getExe hello) ]; env = [ "A=1" ]; cmd = null; }; }',
    "dated": 'buildImage { name = "d"; created = 1700000000; copyToRoot = etc; }',
    "dated-files": 'buildLayeredImage { name = "d"; mtime = "2023-11-14T22:13:20Z"; contents = etc; }',
    "noted": 'buildImage { name = "d"; diskSize = 2048; buildVMMemorySize = 512; }',
    "path": 'buildLayeredImage { name = "p"; contents = [ ./tests/fixtures ]; }',
}
FILE_NAMES = {
    "plain": "docker-image-Plain.tar.gz",
    "plain-zstd": "docker-image-Plain.tar.zst",
    "plain-none": "docker-image-Plain.tar",
    "layered": "layered.tar.gz",
    "layered-zstd": "layered.tar.zst",
    "layered-none": "layered.tar",
    "stream": "stream-s",
    "stream-of-layered": "stream-layered",
}


@pytest.fixture(scope="module")
def built(build_all: Build) -> Outputs:
    return build_all(BUILDS, PRELUDE)


@pytest.fixture
def opened(built: Outputs, tmp_path: Path) -> "Opened":
    return Opened(built, tmp_path)


class Opened:
    """Images without their outer compression."""

    def __init__(self, built: Outputs, folder: Path) -> None:
        self._built, self._folder = built, folder

    def __call__(self, name: str) -> Image:
        return self.of(plain(self._built[name].read_bytes()))

    def of(self, archive: bytes) -> Image:
        file = self._folder / "archive.tar"
        file.write_bytes(archive)
        return open_image(file)


def streamed(script: Path, *arguments: str) -> bytes:
    return subprocess.run([script, *arguments], capture_output=True, check=True).stdout


# --- names and attributes


@pytest.mark.parametrize("build", FILE_NAMES)
def test_file_names(built: Outputs, build: str) -> None:
    assert name_of(built[build]) == FILE_NAMES[build]


def test_attributes_of_buildImage(nix: Nix) -> None:
    found = nix.eval(f"""let {PRELUDE} in {{
      inherit (plain) imageName imageTag type;
      same = plain.imageTag == plain.passthru.imageTag;
      layer = plain.layer.drvPath == plain.passthru.layer.drvPath;
      args = plain.buildArgs.name;
    }}""")
    assert len(found.pop("imageTag")) == 32
    assert found == {"imageName": "team/plain", "same": True, "layer": True, "args": "Team/Plain", "type": "derivation"}


def test_attributes_of_buildLayeredImage_and_its_stream(nix: Nix) -> None:
    found = nix.eval(f"""let {PRELUDE} s = layered.passthru.stream; in [
      layered.imageName s.imageName s.isExe s.passthru.isExe (layered.isExe or false)
      (s.imageTag == layered.imageTag)
      (s.conf.drvPath == s.passthru.conf.drvPath) s.streamScript.name
      ((streamLayeredImage {{ name = "s"; passthru.mine = 1; }}).passthru.mine)
    ]""")
    name = "registry.example.org/team/layered"
    assert found == [name, name, True, True, False, True, True, "stream", 1]


def test_a_caller_that_makes_things_overridable(nix: Nix) -> None:
    """As lib.makeOverridable: it looks at the function's arguments, and puts an `override` of its own on the result."""
    found = nix.eval("""
      let
        makeOverridable = f: args:
          let result = f args; in
          assert builtins.isAttrs (builtins.functionArgs f);
          result // { override = new: makeOverridable f (args // (if builtins.isFunction new then new args else new)); };
        image = makeOverridable buildImage { name = "a"; tag = "1"; };
      in
      [ (image.override { tag = "2"; }).imageTag
        ((image.override (old: { name = old.name + "b"; })).override { tag = "3"; }).imageRef
        ((makeOverridable (buildLayeredImage { name = "l"; }).override { tag = "4"; }).imageTag) ]
    """)
    assert found == ["2", "ab:3", "4"]


def test_overriding(nix: Nix, built: Outputs, opened: Opened) -> None:
    assert opened("layered-zstd").names == ["registry.example.org/team/layered:z"]
    assert nix.eval(f'let {PRELUDE} in (plain.override {{ name = "x"; tag = "2"; }}).imageRef') == "x:2"


# --- the archive


@pytest.mark.parametrize("kind", ["plain", "layered"])
def test_all_compressors_make_one_archive_of_plain_layers(built: Outputs, opened: Opened, kind: str) -> None:
    gz, zstd, none = (built[f"{kind}{suffix}"].read_bytes() for suffix in ("", "-zstd", "-none"))
    assert [compressor(data) for data in (gz, zstd, none)] == ["gz", "zstd", "none"]
    image = opened.of(none)
    assert {layer.compressor for layer in image.layers} == {"none"}
    assert gzip.decompress(gz) == none
    assert opened.of(plain(zstd)).id == image.id
    assert len(image.layers) >= 2


def test_nothing_is_compressed_twice(built: Outputs, nix: Nix) -> None:
    """Each layer's gzip member is, byte for byte, the blob that is in the archive of `build`."""
    data = built["layered"].read_bytes()
    blobs = nix.build(f"let {PRELUDE} in layered.oci")
    stored = [file.read_bytes() for file in blobs.glob("blobs/sha256/*") if file.read_bytes().startswith(b"\x1f\x8b")]
    assert len(stored) >= 2
    for blob in stored:
        assert data.count(blob) == 1
    members, rest = 0, data
    while rest:
        inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
        inflater.decompress(rest)
        rest, members = inflater.unused_data, members + 1
    assert members == 2 * len(stored) + 1


def test_gzip_of_the_system_reads_it(built: Outputs) -> None:
    for name in ("plain", "layered", "child"):
        subprocess.run(["gzip", "--test", built[name]], check=True)


def test_notes_on_arguments_without_meaning(nix: Nix, built: Outputs) -> None:
    log = nix.run("nix-store", "--read-log", built.derivation("noted")).stdout
    assert log.splitlines() == [
        "buildImage: `diskSize` is of no meaning: there is no virtual machine",
        "buildImage: `buildVMMemorySize` is of no meaning: there is no virtual machine",
    ]


# --- streamLayeredImage


def test_streamLayeredImage_writes_the_same_image(built: Outputs, opened: Opened) -> None:
    image, stream = opened("layered"), opened.of(streamed(built["stream-of-layered"]))
    assert (stream.id, stream.names) == (image.id, image.names)


def test_repo_tag(built: Outputs, opened: Opened) -> None:
    for option in ("-t", "--repo_tag"):
        assert opened.of(streamed(built["stream"], option, "other:3")).names == ["other:3"]


def test_stream_script_takes_its_conf(built: Outputs, opened: Opened) -> None:
    image = opened.of(streamed(built["stream-script"], str(built["conf"]), "--repo_tag", "given:1"))
    assert (image.id, image.names) == (opened("layered").id, ["given:1"])


# --- what is in it


def test_contents_are_links_and_copies(opened: Opened) -> None:
    assert opened("plain").tree["bin/hello"].isfile()
    layered = opened("layered")
    assert layered.tree["bin/hello"].issym()
    assert layered.read(layered.resolve("/etc/a")) == b"the text of a\n"


def test_env_is_inherited_and_unique(opened: Opened) -> None:
    child = opened("child")
    assert child.config == {"Env": ["A=1", "B=2"]}
    assert opened("child-all").config == {"Env": ["A=1", "B=2"], "User": "7"}
    assert "bash-5.2.15" in child.store_names


def test_owners(opened: Opened) -> None:
    owned = opened("owned").tree
    assert (owned["etc/a"].uid, owned["etc/a"].gid) == (1000, 100)
    assert {(m.uid, m.gid) for name, m in owned.items() if name.startswith("nix")} == {(0, 0)}
    layered = opened("owned-layered").tree
    assert (layered["etc/a"].uid, layered["etc/a"].gid) == (0, 0)
    assert {(m.uid, m.gid) for name, m in layered.items() if name.startswith("nix")} == {(1000, 100)}


def test_without_store_paths(opened: Opened) -> None:
    image = opened("no-store")
    assert image.all_store_paths == [] and "nix" not in image.tree
    assert image.tree["etc/a"].linkname.startswith("/nix/store/")
    assert opened("nothing").layers == []


def test_links_to_directories(opened: Opened) -> None:
    """#57073, #30432: `share` of one package that is a link goes together with `share` of another; a circle has an end."""
    image = opened("opened-links")
    assert image.read("share/doc/b") == image.read("other/doc/b") == b"b\n"
    assert image.tree["self"].linkname == "."
    kept = opened("kept-links")
    assert (kept.tree["other"].linkname, kept.tree["self"].linkname) == ("share", ".")
    layered = opened("opened-layered")
    assert layered.tree["share"].isdir() and layered.tree["share/doc/b"].issym()


def test_dates(opened: Opened) -> None:
    image = opened("dated")
    assert image.json["created"] == "2023-11-14T22:13:20Z"
    assert {member.mtime for member in image.tree.values()} == {1}, "#197947: no date of an image is in its layers"
    assert {member.mtime for member in opened("dated-files").tree.values()} == {1700000000}


def test_now_is_the_time_of_the_evaluation(nix: Nix) -> None:
    expression = 'dockerTools.buildImage { name = "n"; created = "now"; }'
    parts = f"let image = {expression}; in [ builtins.currentTime image.description.spec.created ]"
    seconds, created = nix.eval(parts)
    known = nix.run("date", "--utc", "--date", f"@{seconds}", "+%Y-%m-%dT%H:%M:%SZ").stdout.strip()
    assert created == known
    text = (nix.checkout / "nix/internal/date.nix").read_text()
    command = ("nix-instantiate", "--eval", "--option", "pure-eval", "true", "-E", f'({text}).orNow.make "now"')
    assert (
        '`created` is "now", which pure evaluation does not know: write self.lastModified'
        in nix.run(*command, check=False).stderr
    )


def test_keys_of_config_in_other_letters(opened: Opened) -> None:
    """What engines read is written as they call it: `EntryPoint` is in many expressions."""
    config = opened("keys").config
    assert (
        config["Env"] == ["A=1"]
        and config["Entrypoint"][0].endswith("/bin/hello")
        and set(config) == {"Env", "Entrypoint"}
    )


def test_a_plain_path(opened: Opened) -> None:
    image = opened("path")
    assert image.store_names == ["fixtures"]
    assert "alpine.lock.json" in image.tree


# --- helpers


def test_binSh_and_usrBinEnv(opened: Opened) -> None:
    image = opened("helpers")
    assert image.resolve("/bin/sh").endswith("/bin/bash")
    assert image.resolve("/usr/bin/env").endswith(("/bin/env", "/bin/coreutils"))


def test_caCertificates(opened: Opened) -> None:
    image = opened("helpers")
    for name in ("ssl/certs/ca-bundle.crt", "ssl/certs/ca-certificates.crt", "pki/tls/certs/ca-bundle.crt"):
        assert b"BEGIN CERTIFICATE" in image.read(image.resolve(f"/etc/{name}"))


def test_fakeNss(built: Outputs, opened: Opened) -> None:
    image = opened("helpers")
    lines = image.read(image.resolve("/etc/passwd")).decode().splitlines()
    assert [line.split(":")[0:3:2] for line in lines] == [["root", "0"], ["nobody", "65534"]]
    assert all(line.count(":") == 6 for line in lines)
    assert image.read(image.resolve("/etc/nsswitch.conf")) == b"hosts: files dns\n"
    assert image.tree["var/empty"].isdir()
    assert (built["nss"] / "etc/passwd").read_text().splitlines()[1] == "app:x:7:8::/:/bin/sh"
    assert (built["nss"] / "etc/group").read_text().splitlines() == ["root:x:0:", "app:x:8:", "nobody:x:65534:"]


def test_shadowSetup(nix: Nix, tmp_path: Path) -> None:
    tools = f'(import {nix.checkout}/nix {{ inherit (pkgs) python3 bash coreutils; shadow = "/shadow"; }})'
    script = nix.eval(f"{tools}.shadowSetup")
    assert script.startswith("export PATH=/shadow/bin:$PATH\n")
    # The files are made where they are wanted, once, and what is there stays.
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("mine:x:1:1::/:/bin/sh\n")
    # useradd opens no link, as those of fakeNss are.
    (tmp_path / "stored").write_text("mine:x:1:\n")
    (tmp_path / "stored").chmod(0o444)
    (tmp_path / "etc/group").symlink_to(tmp_path / "stored")
    moved = script.replace("/etc", f"{tmp_path}/etc")
    for _ in range(2):
        subprocess.run(["bash", "-euc", moved], check=True)
    assert (tmp_path / "etc/passwd").read_text() == "mine:x:1:1::/:/bin/sh\n"
    group = tmp_path / "etc/group"
    assert not group.is_symlink() and group.stat().st_mode & 0o777 == 0o644 and group.read_text() == "mine:x:1:\n"
    assert (tmp_path / "etc/shadow").stat().st_mode & 0o777 == 0o640
    assert {file.name for file in (tmp_path / "etc").iterdir()} == {
        *("passwd", "shadow", "group", "gshadow", "login.defs", "pam.d")
    }


# --- errors


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("buildImage { }", "buildImage: `name` is missing"),
        (
            'buildImage { name = "x"; copytoroot = [ ]; }',
            "buildImage: unknown argument `copytoroot`; write `copyToRoot`.",
        ),
        (
            'buildImage { name = "x"; config.Cmd = "x"; }',
            'buildImage: `config.Cmd` is "x": write a list of strings: config.Cmd = [ "x" ].',
        ),
        (
            'buildLayeredImage { name = "x"; config.ExposedPorts."80" = { }; }',
            "buildLayeredImage: `config.ExposedPorts` is { 80 = …; }: write ports with their protocol: "
            'config.ExposedPorts = { "80/tcp" = { }; }',
        ),
        ('streamLayeredImage { name = "x"; config.Comand = [ ]; }', "streamLayeredImage: unknown key `config.Comand`"),
        ('buildImage { name = "x"; config.User = 1000; }', "buildImage: `config.User` is 1000: write a string."),
        (
            'buildLayeredImage { name = "x"; mtime = "now"; }',
            'buildLayeredImage: `mtime` is "now": write seconds since 1970',
        ),
        (
            'buildLayeredImage { name = "x"; maxLayers = 1; }',
            "buildLayeredImage: `maxLayers` is 1: write a whole number from 2",
        ),
        (
            'buildImage { name = "x"; compressor = "xz"; }',
            'buildImage: `compressor` is "xz": write "gz" or "none" or "zstd".',
        ),
        (
            'fakeNss.override { extraPasswdLines = "x"; }',
            'fakeNss: `extraPasswdLines` is "x": write a list of strings.',
        ),
    ],
)
def test_errors(nix: Nix, expression: str, message: str) -> None:
    said = nix.failure(f"let it = {expression}; in [ it.drvPath ]")
    assert f"dockerTools.{message}" in said


def test_base_of_ours_in_any_form(nix: Nix, tmp_path: Path) -> None:
    """An image of buildImage is a base as value, which is not read again, and as file."""
    arguments = 'name = "on"; tag = "1"; fromImage = base; contents = [ etc ]; compressor = "none";'
    value = f"let {PRELUDE} in buildLayeredImage {{ {arguments} }}"
    file = value.replace("fromImage = base;", 'fromImage = "${base}";')
    one, other = (open_image(nix.build(text)) for text in (value, file))
    assert [layer.diff_id for layer in one.layers] == [layer.diff_id for layer in other.layers]
    assert json.loads(one.config_bytes)["config"] == {"Env": ["A=1", "B=1"]}


def test_members_that_cannot_stand_between_others_are_made_anew(nix: Nix, tmp_path: Path) -> None:
    """A base's gzip layer that ends in zeros, as tools on tapes leave it, is no member for the middle of a file."""
    layers = [gzip.compress(make_tar({"a": b"a" * 4000})) + bytes(512), gzip.compress(make_tar({"b": b"b"}))]
    base = make_docker_archive(tmp_path / "base.tar", layers)
    out = nix.build(f'buildImage {{ name = "x"; fromImage = {base}; }}')
    data = gzip.GzipFile(fileobj=io.BytesIO(out.read_bytes())).read()
    (tmp_path / "plain.tar").write_bytes(data)
    image = open_image(tmp_path / "plain.tar")
    assert [layer.names for layer in image.layers] == [["a"], ["b"]]
    assert layers[1] in out.read_bytes() and layers[0] not in out.read_bytes()
