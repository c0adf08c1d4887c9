"""users, groups and perms: what `build` and `mkTarball` make of them, and what they refuse."""

import io
import json
import subprocess
import tarfile
from pathlib import Path

import pytest

from dockertools_py.model.capability import NAMES
from tests.conftest import CHECKOUT, Nix
from tests.nix.building import Build, Outputs
from tests.nix.opened import Image, lines, make_docker_archive, make_tar, open_archive, open_tar

pytestmark = pytest.mark.xdist_group("nix-owners")

BIND = bytes.fromhex("0100000200040000000000000000000000000000")

PRELUDE = """
  data = runCommand "data" { } ''
    mkdir -p $out/srv/deep $out/bin
    echo x > $out/srv/x; echo y > $out/srv/deep/y
    echo program > $out/bin/program; chmod +x $out/bin/program
  '';
  nss = runCommand "nss" { } ''
    mkdir -p $out/etc
    echo 'root:x:0:0::/root:/bin/sh' > $out/etc/passwd; echo 'root:x:0:' > $out/etc/group
  '';
  shell = runCommand "shell" { } "mkdir -p $out/bin; echo > $out/bin/shell";
  app = {
    name = "x"; tag = "1"; copyToRoot = data;
    users.app = { uid = 1000; extraGroups = [ "logs" ]; };
    groups.logs.gid = 200;
    perms = [
      { path = "/tmp"; create = "directory"; mode = "1777"; }
      { path = "/srv/"; recursive = true; uname = "app"; gname = "logs"; }
      { glob = "/srv/**/[xy]"; mode = "0640"; }
      { path = "/bin/program"; mode = "4755"; capabilities = [ "cap_net_bind_service" ]; }
    ];
  };
  base = build app;
  minimal = { name = "x"; tag = "1"; fromImage = furnished; rootfs = "minimal"; };
  furnished = build {
    name = "f"; extraCommands = ''
      mkdir -p etc tmp usr/bin; ln -s usr/bin bin; chmod 700 tmp
      echo own > usr/bin/env; echo own > usr/bin/sh
      echo 'www:x:33:33::/:' > etc/passwd; echo 'hosts: files' > etc/nsswitch.conf
    '';
  };
  nssBase = build { name = "b"; contents = nss; };
  listed = app // {
    users = [ { name = "app"; uid = 1000; extraGroups = [ "logs" ]; } ];
    groups = [ { name = "logs"; gid = 200; } ];
  };
  withShell = shell: build { name = "x"; tag = "1"; users.app = { uid = 7; inherit shell; }; };
  tarball = compressor: mkTarball { copyToRoot = data; inherit compressor; inherit (app) users groups perms; };
"""

BUILDS = {
    "app": 'build (app // { config.User = "app:logs"; })',
    "app-again": 'build (app // { name = "other"; uid = 0; perms = app.perms ++ [ ]; })',
    "lists": "build listed",
    "plain": 'build { name = "x"; tag = "1"; copyToRoot = data; }',
    "plain-user": 'build { name = "x"; tag = "1"; copyToRoot = [ data nss ]; config.User = "root:root"; }',
    "plain-nss": 'build { name = "x"; tag = "1"; copyToRoot = [ data nss ]; }',
    "on-top": """build {
        name = "y"; tag = "1"; fromImage = base; users.two = { uid = 1001; group = "logs"; createHome = false; };
        perms = [ { path = "/srv/deep/y"; uname = "two"; } { path = "/srv"; mode = "0700"; } ]; config.User = "app";
      }""",
    "nss": 'build { name = "x"; tag = "1"; contents = nss; users.app.uid = 7; }',
    "nss-base": 'build { name = "x"; tag = "1"; fromImage = nssBase; users.app.uid = 7; }',
    # The same read from a file: the links lead into layers of its own, and these are compressed.
    "nss-file": 'build { name = "x"; tag = "1"; fromImage = nssBase.archive; users.app.uid = 7; }',
    "on-zstd": """build {
        name = "x"; tag = "1"; fromImage = (build (app // { compressor = "zstd"; })).archive;
        perms = [ { path = "/srv/x"; mode = "0600"; } ]; users.two = { uid = 8; group = "logs"; };
      }""",
    "script": """build {
        name = "x"; tag = "1"; extraCommands = "mkdir etc; echo 'web:x:80:80::/:' > etc/passwd; echo > f; ln f g";
        perms = [ { path = "/g"; uname = "web"; mode = "0600"; } ]; config.User = "web";
      }""",
    "shell": 'withShell "${shell}/bin/shell"',
    "shell-package": 'withShell (shell // { shellPath = "/bin/shell"; })',
    "tarball": 'tarball "none"',
    "tarball-image": 'build { name = "x"; tag = "1"; addTarball = tarball "gz"; }',
    "flat": 'flattenImage { name = "x"; tag = "1"; fromImage = base; }',
    "exported": "exportImage { fromImage = base; }",
    "delta": 'mkDelta { fromImage = build { name = "e"; }; toImage = base; name = "x"; tag = "1"; }',
    "layered": 'toLayered { tarball = exportImage { fromImage = base; }; name = "x"; tag = "1"; }',
    "merged": 'mergeImages { name = "x"; tag = "1"; images = [ base (build { name = "z"; contents = shell; }) ]; }',
    "minimal": "build (minimal // { })",
    "minimal-users": "build (minimal // { users.app.uid = 7; })",
    "minimal-given": """build (minimal // {
        contents = [ binSh ]; perms = [ { path = "/tmp"; mode = "1777"; } ];
      })""",
    "minimal-script": 'build (minimal // { runAsRoot = "cat /etc/passwd /usr/bin/env > /seen"; })',
    "zstd": 'build (app // { compressor = "zstd"; })',
}


@pytest.fixture(scope="module")
def built(build_all: Build) -> Outputs:
    return build_all(BUILDS, PRELUDE)


def opened(path: Path) -> Image:
    [image] = open_archive(path)
    return image


def said(member: tarfile.TarInfo) -> tuple[int, int, int]:
    return member.mode, member.uid, member.gid


def capability(member: tarfile.TarInfo) -> bytes | None:
    text = member.pax_headers.get("SCHILY.xattr.security.capability")
    return None if text is None else text.encode("utf-8", "surrogateescape")


WANTED = {
    "tmp": (0o1777, 0, 0),
    "srv": (0o755, 1000, 200),
    "srv/x": (0o640, 1000, 200),
    "srv/deep": (0o755, 1000, 200),
    "srv/deep/y": (0o640, 1000, 200),
    "bin": (0o755, 0, 0),
    "bin/program": (0o4755, 0, 0),
    "etc/passwd": (0o644, 0, 0),
    "etc/shadow": (0o600, 0, 0),
    "home": (0o755, 0, 0),
    "home/app": (0o700, 1000, 1000),
}


@pytest.mark.parametrize("name", ["app", "lists", "tarball-image", "flat", "delta", "layered", "merged", "zstd"])
def test_what_is_asked_for_is_in_the_image_and_stays_in_what_is_made_of_it(built: Outputs, name: str) -> None:
    image = opened(built[name])
    assert {path: said(image.tree[path]) for path in WANTED} == WANTED
    assert capability(image.tree["bin/program"]) == BIND
    assert image.read("bin/program") == b"program\n"
    assert image.read("etc/passwd").splitlines()[-1] == b"app:x:1000:1000::/home/app:/bin/sh"
    assert list(lines(image.read("etc/group").decode()))[-2:] == ["logs:x:200:app", "app:x:1000:"]


@pytest.mark.parametrize("name", ["tarball", "exported"])
def test_and_in_tars(built: Outputs, name: str) -> None:
    members = {member.name: member for member in open_tar(built[name]).members}
    assert {path: said(members[path]) for path in WANTED} == WANTED
    assert capability(members["bin/program"]) == BIND


def test_only_the_layer_at_the_root_knows_of_it(built: Outputs, nix: Nix) -> None:
    images = [opened(built[name]) for name in ("app", "app-again", "lists")]
    assert len({tuple(image.json["rootfs"]["diff_ids"]) for image in images}) == 1
    bare = nix.instantiate('build { name = "x"; contents = hello; }')
    full = nix.instantiate('build { name = "x"; contents = hello; users.app.uid = 1; config.User = "app"; }')
    other = nix.instantiate('build { name = "x"; contents = hello; users.app.uid = 1; config.User = "1"; }')
    layers = lambda drvs: {drv for drv in drvs if "-layers.drv" in drv}  # noqa: E731
    roots = lambda drvs: {drv for drv in drvs if drv.endswith("-root-layer.drv")}  # noqa: E731
    assert layers(bare) == layers(full) == layers(other) != set()
    assert roots(full) == roots(other) != roots(bare)


def test_a_user_that_is_known_changes_nothing(built: Outputs) -> None:
    with_user, without = opened(built["plain-user"]), opened(built["plain-nss"])
    assert with_user.json["rootfs"] == without.json["rootfs"]
    assert with_user.json["history"] == without.json["history"]
    assert "etc/passwd" not in opened(built["plain"]).tree


def test_on_top_of_a_base(built: Outputs) -> None:
    image = opened(built["on-top"])
    layer = {member.name: said(member) for member in image.layers[-1].members}
    assert layer == {
        "etc": (0o755, 0, 0),
        "etc/passwd": (0o644, 0, 0),
        "etc/shadow": (0o600, 0, 0),
        "srv": (0o700, 1000, 200),
        "srv/deep": (0o755, 1000, 200),
        "srv/deep/y": (0o640, 1001, 200),
    }
    assert image.read("srv/deep/y") == b"y\n"
    assert image.read("etc/passwd").splitlines()[-2:] == [
        b"app:x:1000:1000::/home/app:/bin/sh",
        b"two:x:1001:200::/home/two:/bin/sh",
    ]


def test_on_a_base_in_zstd(built: Outputs) -> None:
    image = opened(built["on-zstd"])
    assert image.read("srv/x") == b"x\n" and said(image.tree["srv/x"]) == (0o600, 1000, 200)
    assert image.read("etc/passwd").endswith(b"app:x:1000:1000::/home/app:/bin/sh\ntwo:x:8:200::/home/two:/bin/sh\n")
    assert "srv/x" in image.layers[-1].names and "srv/deep/y" not in image.layers[-1].names


@pytest.mark.parametrize("name", ["nss", "nss-base", "nss-file"])
def test_accounts_that_contents_bring_as_links(built: Outputs, name: str) -> None:
    image = opened(built[name])
    assert image.tree["etc/passwd"].isfile()
    assert image.read("etc/passwd") == b"root:x:0:0::/root:/bin/sh\napp:x:7:7::/home/app:/bin/sh\n"
    assert image.read("etc/shadow") == b"root:!:::::::\napp:!:::::::\n"


def test_after_a_script(built: Outputs) -> None:
    tree = opened(built["script"]).tree
    assert said(tree["f"]) == said(tree["g"]) == (0o600, 80, 0)
    assert tree["g"].islnk() and tree["g"].linkname == "f"


def test_a_preset_leaves_what_the_base_has(built: Outputs) -> None:
    image = opened(built["minimal"])
    assert image.read("etc/passwd") == b"www:x:33:33::/:\n" and image.read("etc/nsswitch.conf") == b"hosts: files\n"
    assert image.read("usr/bin/env") == image.read("usr/bin/sh") == b"own\n"
    assert said(image.tree["tmp"])[0] == 0o700
    top = image.layers[-1].names
    assert "etc/group" in top and "etc/ssl/certs/ca-certificates.crt" in top and "var/empty" in top
    assert not {"etc/passwd", "etc/nsswitch.conf", "usr/bin/env", "usr/bin/sh", "tmp", "bin/sh"} & set(top)

    image = opened(built["minimal-users"])
    assert image.read("etc/passwd") == b"www:x:33:33::/:\napp:x:7:7::/home/app:/bin/sh\n"
    assert b"\napp:x:7:\n" in image.read("etc/group")


def test_what_is_asked_for_beside_a_preset_counts(built: Outputs) -> None:
    image = opened(built["minimal-given"])
    assert image.tree["usr/bin/sh"].issym() and said(image.tree["tmp"])[0] == 0o1777


def test_a_script_sees_the_base_below_a_preset(built: Outputs) -> None:
    assert opened(built["minimal-script"]).read("seen") == b"www:x:33:33::/:\nown\n"


@pytest.mark.parametrize("name", ["shell", "shell-package"])
def test_a_shell_of_the_store_is_in_the_image(built: Outputs, name: str) -> None:
    image = opened(built[name])
    shell = image.read("etc/passwd").decode().splitlines()[-1].rpartition(":")[2]
    assert shell.startswith("/nix/store/") and image.read(image.resolve(shell)) == b"\n"


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base whose files have owners, an attribute that text cannot say, and accounts in the lower layer."""
    folder = tmp_path_factory.mktemp("foreign")

    def directory(mode: int, uid: int) -> object:
        def make(member: tarfile.TarInfo) -> None:
            member.type, member.mode, member.uid = tarfile.DIRTYPE, mode, uid

        return make

    lower = make_tar(
        {
            "etc": directory(0o755, 0),
            "etc/passwd": b"root:x:0:0::/root:/bin/sh\nnode:x:1000:1000::/home/node:/bin/sh\n",
            "etc/group": b"root:x:0:\nnode:x:1000:\n",
            "opt": directory(0o750, 1000),
            "opt/data": b"data of the base",
        }  # type: ignore[dict-item]
    )
    return make_docker_archive(folder / "base.tar", [lower, with_attributes("kept")])


def with_attributes(note: str) -> bytes:
    """A layer with a directory and a program that have extended attributes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        member = tarfile.TarInfo("opt/")
        member.type, member.mode, member.uid = tarfile.DIRTYPE, 0o750, 1000
        member.pax_headers = {"SCHILY.xattr.user.note": note}
        tar.addfile(member)
        member = tarfile.TarInfo("opt/tool")
        member.mode, member.size = 0o755, 4
        member.pax_headers = {"SCHILY.xattr.security.capability": BIND.decode("utf-8", "surrogateescape")}
        tar.addfile(member, io.BytesIO(b"tool"))
    return buffer.getvalue()


def test_on_top_of_a_base_of_others(nix: Nix, foreign: Path, build_all: Build) -> None:
    call = f'build {{ name = "x"; tag = "1"; fromImage = {foreign};'
    built = build_all(
        {
            "child": f"""{call} users.app = {{ uid = 1001; group = "node"; }};
                perms = [ {{ path = "/opt/data"; uname = "node"; mode = "0600"; }} ]; config.User = "node"; }}""",
            "unknown": f'{call} users.app.uid = 5; config.User = "web"; }}',
            "conflict": f"{call} users.app.uid = 1000; }}",
            "kept": f'{call} copyToRoot = writeTextDir "opt/new" "new"; }}',
        }
    )
    image = opened(built["child"])
    top = {member.name: member for member in image.layers[-1].members}
    assert list(top) == ["etc", "etc/passwd", "etc/shadow", "home", "home/app", "opt", "opt/data"]
    assert said(top["opt/data"]) == (0o600, 1000, 0) and image.read("opt/data") == b"data of the base"
    assert said(top["opt"]) == (0o750, 1000, 0)
    assert said(top["home/app"]) == (0o700, 1001, 1000)
    for one in (image, opened(built["kept"])):
        assert one.tree["opt"].pax_headers["SCHILY.xattr.user.note"] == "kept"
    for name, error in (
        (
            "unknown",
            "config.User: no user `web` in /etc/passwd, so no container would start: write users.web, or numbers",
        ),
        (
            "conflict",
            "users.app.uid is 1000, but that is `node` in /etc/passwd already: write another id, or that name",
        ),
    ):
        assert f"dockertools-py derivation: {error}\n" in log_of(built, name)


MADE_OF_IT = {
    "flat": 'flattenImage {{ name = "x"; tag = "1"; fromImage = {0}; }}',
    "delta": 'mkDelta {{ name = "x"; tag = "1"; fromImage = build {{ name = "e"; }}; toImage = {0}; }}',
    "layered": 'toLayered {{ name = "x"; tag = "1"; tarball = exportImage {{ fromImage = {0}; }}; }}',
    "normalised": 'toLayered {{ name = "x"; tag = "1"; normalise = true; tarball = exportImage {{ fromImage = {0}; }}; }}',
    "merged": 'mergeImages {{ name = "x"; tag = "1"; images = [ {0} (build {{ name = "z"; contents = hello; }}) ]; }}',
    "changed": 'build {{ name = "x"; tag = "1"; fromImage = {0}; perms = [ {{ path = "/opt/tool"; mode = "0700"; }} ]; }}',
}


def test_attributes_of_a_base_stay(build_all: Build, nix: Nix, foreign: Path, tmp_path: Path) -> None:
    built = build_all({name: call.format(foreign) for name, call in MADE_OF_IT.items()})
    for name in MADE_OF_IT:
        tree = opened(built[name]).tree
        assert tree["opt"].pax_headers["SCHILY.xattr.user.note"] == "kept", name
        assert capability(tree["opt/tool"]) == BIND, name
        assert said(tree["opt/tool"]) == (0o700 if name == "changed" else 0o755, 0, 0), name
    other = make_docker_archive(tmp_path / "other.tar", [with_attributes("other")])
    error = nix.failure(f'mergeImages {{ name = "x"; images = [ {foreign} {other} ]; }}', build=True)
    assert "mergeImages: /opt of image 1 would change: image 2 shows something else there; " in error, error


def log_of(built: Outputs, name: str) -> str:
    """What the failed derivation below an image has said."""
    needed = subprocess.run(
        ["nix-store", "--query", "--requisites", built.derivation(name)], capture_output=True, text=True, check=True
    )
    [root] = [path for path in needed.stdout.split() if path.endswith("-root-layer.drv")]
    return subprocess.run(["nix-store", "--read-log", root], capture_output=True, text=True, check=True).stdout


# (arguments of build beside a name, what is said after "error: dockerTools.build: ")
ID = "a whole number from 0 to 4294967294"
NAME = "a name: up to 32 letters, digits, . _ -, beginning with a letter or _"
MODE = 'a string of 3 or 4 octal digits, such as "0750"'
PATH = "an absolute path without `..`"
FIELD_PATH = "null or an absolute path without `:` and `..`"
SHELL = 'null or a path such as "/bin/sh", or a package that says where in it a shell is (shellPath)'
USER = "createHome description extraGroups gid group home homeMode shell uid"
CAPABILITIES = 'null or text as setcap takes it, "cap_net_bind_service+ep", or a list of such and of names; "" for none'
NO_GROUP = (
    "and the image has no group app, so no container would start: write groups.app.gid = a number, or a number here"
)
NO_USER = "and the image has no user app, so no container would start: write users.app.uid = a number, or a number here"
KEEPS = "what is in the store keeps its mode and owner: put the package in `copyToRoot`"
NOTHING = "changes nothing: write `mode`, `uid`, `gid`, `uname`, `gname` or `capabilities`"
ERRORS = [
    ("users.app = { };", f"`users.app.uid` is missing: write uid = {ID}."),
    ("users.app.uid = -1;", f"`users.app.uid` is -1: write {ID}."),
    ("users.app.uid = 4294967295;", f"`users.app.uid` is 4294967295: write {ID}."),
    ('users.app.uid = "1000";', f'`users.app.uid` is "1000": write {ID}.'),
    ("users = [ { uid = 1; } ];", f"`users[0].name` is missing: write name = {NAME}."),
    ('users."a:b".uid = 1;', f'`a name in users` is "a:b": write {NAME}.'),
    ("users = 7;", "`users` is 7: write a set by name, or a list of sets with `name`."),
    ("users.app = 7;", f"`users.app` is 7: write an attribute set of {USER}."),
    ('users.app = { uid = 1; shel = "/bin/sh"; };', "unknown key `users.app.shel`; write `shell`."),
    ("groups.logs = { gid = 1; zebra = 1; };", "unknown key `groups.logs.zebra`; it takes gid members."),
    ('users.app = { uid = 1; home = "a"; };', f'`users.app.home` is "a": write {FIELD_PATH}.'),
    ('users.app = { uid = 1; home = "/a:b"; };', f'`users.app.home` is "/a:b": write {FIELD_PATH}.'),
    ('users.app = { uid = 1; home = "/a/../b"; };', f'`users.app.home` is "/a/../b": write {FIELD_PATH}.'),
    ("users.app = { uid = 1; homeMode = 700; };", f"`users.app.homeMode` is 700: write {MODE}."),
    (
        'users.app = { uid = 1; description = "a:b"; };',
        '`users.app.description` is "a:b": write null or a string without `:` and line ends.',
    ),
    ("users.app = { uid = 1; shell = hello; };", f"`users.app.shell` is the package hello: write {SHELL}."),
    ('users.app = { uid = 1; gid = 1; group = "a"; };', "`users.app` has both `gid` and `group`: write one of them."),
    (
        'users.app = { uid = 1; home = "/"; createHome = true; };',
        "`users.app.home` is /, which no user may own: write another one, or leave out `createHome`.",
    ),
    (
        "users = { a.uid = 5; b.uid = 5; };",
        "`users.a.uid` and `users.b.uid` are both 5: write another number for one of them.",
    ),
    ("users.root.uid = 5;", "`users.root.uid` is 5: write 0, or another name."),
    ("groups.root.gid = 5;", "`groups.root.gid` is 5: write 0, or another name."),
    ('users = [ { name = "a"; uid = 5; } { name = "a"; uid = 6; } ];', "`users` has `a` twice: take one out."),
    (
        "groups = { a.gid = 5; b.gid = 5; };",
        "`groups.a.gid` and `groups.b.gid` are both 5: write another number for one of them.",
    ),
    (
        'users.a = { uid = 5; group = "logs"; };',
        "`users.a.group` has logs, and there is no such group: write groups.logs.gid = a number.",
    ),
    (
        'users.a = { uid = 5; extraGroups = [ "root" "logs" ]; };',
        "`users.a.extraGroups` has logs, and there is no such group: write groups.logs.gid = a number.",
    ),
    (
        'rootfs.certificates = false; perms = [ { path = "/a"; uid = 1; } { path = "/a"; } ];',
        f"`perms[1]` {NOTHING}.",
    ),
    ("perms = { };", "`perms` is { }: write a list of attribute sets."),
    ("perms = [ { } ];", '`perms[0]` has neither `path` nor `glob`: write path = "/var/lib/app", for instance.'),
    ('perms = [ { path = "/a"; uid = 1; } { path = "/a"; } ];', f"`perms[1]` {NOTHING}."),
    (
        'perms = [ { path = "/a"; glob = "/a"; uid = 1; } ];',
        "`perms[0]` has both `path` and `glob`: write one of them.",
    ),
    (
        'perms = [ { path = "/a"; uid = 1; uname = "a"; } ];',
        "`perms[0]` has both `uid` and `uname`: write one of them.",
    ),
    (
        'perms = [ { path = "/a"; gid = 1; gname = "a"; } ];',
        "`perms[0]` has both `gid` and `gname`: write one of them.",
    ),
    (
        'perms = [ { glob = "/a"; create = "directory"; } ];',
        "`perms[0]` has `create` and `glob`: write `path` for what shall be made.",
    ),
    *(
        (
            f'perms = [ {{ path = "/a"; capabilities = {given}; }} ];',
            f"`perms[0]` gives {name}, and there is no such capability: {way_out}.",
        )
        for given, name, way_out in (
            ('"cap_kill,cap_net_bind_servce=ep"', "cap_net_bind_servce", "write cap_net_bind_service"),
            ('"cap_kill+i net_raw+ep"', "net_raw", "write cap_net_raw"),
            ('[ "cap_kill" "cap_x" ]', "cap_x", "see capabilities(7)"),
        )
    ),
    ('perms = [ { path = "/a"; create = "file"; } ];', '`perms[0].create` is "file": write null or "directory".'),
    ('perms = [ { path = "a"; uid = 1; } ];', f'`perms[0].path` is "a": write null or {PATH}.'),
    ('perms = [ { path = "/a/../b"; uid = 1; } ];', f'`perms[0].path` is "/a/../b": write null or {PATH}.'),
    ('perms = [ { path = "/a"; mode = "0888"; } ];', f'`perms[0].mode` is "0888": write null or {MODE}.'),
    ('perms = [ { path = "/a"; mode = 0750; } ];', f"`perms[0].mode` is 750: write null or {MODE}."),
    ('perms = [ { path = "/a"; mod = "0750"; } ];', "unknown key `perms[0].mod`; write `mode`."),
    (
        'perms = [ { path = "/nix/store/x"; uid = 1; } ];',
        f"`perms[0]` is for /nix/store/x, and {KEEPS}, and write the path at `/`.",
    ),
    (
        'perms = [ { path = "/a"; capabilities = "net_raw"; } ];',
        f'`perms[0].capabilities` is "net_raw": write {CAPABILITIES}.',
    ),
    ('config.User = "app";', f'`config.User` is "app", {NO_USER}.'),
    ('users.web.uid = 1; config.User = "web:app";', f'`config.User` is "web:app", {NO_GROUP}.'),
    ('users.web.uid = 1; config.User = "app:0";', f'`config.User` is "app:0", {NO_USER}.'),
]

FAKE = f"""
  package = name: derivation {{ inherit name; builder = "/none"; system = "x86_64-linux"; }};
  tools = import {CHECKOUT}/nix {{ python3 = package "python3"; bash = package "bash"; coreutils = package "coreutils"; }};
  hello = package "hello";
"""


def test_errors_at_evaluation(nix: Nix) -> None:
    for arguments, message in ERRORS:
        expression = f'let {FAKE} in (tools.build {{ name = "x"; {arguments} }}).drvPath'
        error = nix.failure(expression)
        assert f"error: dockerTools.build: {message}\n" in error, error
    error = nix.failure(f"let {FAKE} in (tools.mkTarball {{ drv = hello; users.app = {{ }}; }}).drvPath")
    assert f"error: dockerTools.mkTarball: `users.app.uid` is missing: write uid = {ID}.\n" in error


def test_capabilities_have_the_names_that_the_builder_knows(nix: Nix) -> None:
    names = json.loads(
        nix.run("nix-instantiate", "--eval", "--strict", "--json", f"{CHECKOUT}/nix/internal/capabilities.nix").stdout
    )
    assert names == [f"cap_{name}" for name in NAMES.split()]


def test_errors_of_a_build(build_all: Build, nix: Nix) -> None:
    prelude = 'text = writeTextDir "etc/text" "text";'
    call = 'build { name = "x"; tag = "1"; contents = text;'
    wanted = {
        f'{call} perms = [ {{ path = "/etc/text"; mode = "0600"; }} ]; }}': "perms: /etc/text: leads to /nix/store/",
        f'{call} perms = [ {{ path = "/gone"; mode = "0600"; }} ]; }}': (
            'perms: /gone: is not there: mend the path, or write create = "directory"\n'
        ),
        f'{call} perms = [ {{ path = "/etc"; uname = "app"; }} ]; }}': (
            "perms: /etc: no user `app` in /etc/passwd: write users.app, or a number\n"
        ),
        f'{call} perms = [ {{ path = "/etc"; capabilities = "cap_kill+e"; }} ]; }}': (
            "perms: /etc: capabilities cap_kill+e: it leaves no capability permitted or inheritable; write +ep\n"
        ),
        f'{call} config.User = "app"; }}': (
            "config.User: no user `app` in /etc/passwd, so no container would start: write users.app, or numbers\n"
        ),
        f'{call} users.app = {{ uid = 7; group = "logs"; }}; }}': (
            "users.app.group: no group `logs` in /etc/group: write groups.logs.gid = a number\n"
        ),
    }
    built = build_all({str(number): call for number, call in enumerate(wanted)}, prelude)
    for number, message in enumerate(wanted.values()):
        log = log_of(built, str(number))
        assert f"dockertools-py derivation: {message}" in log
        assert len(list(lines(log))) == 1
        assert not Path(
            nix.run("nix-store", "--query", "--outputs", built.derivation(str(number))).stdout.strip()
        ).exists()
