"""Scripts that run as root in an image's tree, in Nix's sandbox: what they see, what is left of them, and how they fail."""

import json
import subprocess
import tarfile

import pytest

from tests.conftest import Nix
from tests.nix.building import Build, Outputs
from tests.nix.opened import Image, name_of, open_image

pytestmark = pytest.mark.xdist_group("nix-scripts")

PRELUDE = r"""
  base = build {
    name = "base"; tag = "1"; contents = [ bash ];
    extraCommands = ''
      mkdir -p etc usr/bin opt/old/deep; ln -s usr/bin sbin; echo base > etc/base; echo gone > etc/gone
      echo 1 > opt/old/deep/one; ln opt/old/deep/one opt/two
    '';
  };
  accountsBase = build {
    name = "base"; tag = "1"; contents = [ bash ];
    extraCommands = ''
      mkdir -p etc usr/bin; ln -s usr/bin sbin
      printf 'root:x:0:0::/root:/bin/sh\nwww:x:33:33::/var/www:/bin/false\n' > etc/passwd
      printf 'root:x:0:\nwww:x:33:\n' > etc/group
    '';
  };
  plain = attrs: build ({ name = "x"; tag = "1"; } // attrs);
  shown = "for f in / /etc /etc/base /opt; do stat -c '%A %u:%g %n' $f; done";
"""

IMAGES = {
    "changes": r"""plain {
      fromImage = base; contents = [ hello ]; copyToRoot = writeTextDir "sbin/tool" "tool\n"; uid = 7; gid = 8;
      runAsRoot = ''
        ${shown} > /seen
        stat -c '%u:%g' /sbin/tool /bin/hello >> /seen; cat /sbin/tool >> /seen
        rm /etc/gone
        chown 5:6 /etc/base; chmod 4755 /etc/base
        mv /opt/old /opt/new
        echo made > /made
        mkdir -m 1777 /var; mknod /var/null c 1 3; mkfifo -m 620 /var/pipe
        chmod 2755 /usr
      '';
    }""",
    "order": r"""plain {
      fromImage = base;
      runAsRoot = "echo \"runAsRoot $PWD $HOME $TMPDIR $(id -u)\" > log; test -e etc/base";
      extraCommands = "echo \"extraCommands $(basename $PWD)\" >> log; test -e etc/base";
      fakeRootCommands = "echo \"fakeRootCommands $(basename $PWD)\" >> log; chown 3:4 log";
    }""",
    "apart": r"""plain {
      fromImage = base; contents = [ hello ];
      extraCommands = "mkdir sbin; echo tool > sbin/tool";
      fakeRootCommands = ''
        files=$(ls | tr '\n' ' '); printf %s "$files" > seen; test ! -e etc
        chown -R 1:2 sbin; mkdir -p dev; mknod dev/zero c 1 5; chown 9 .; ln sbin/tool tool2
      '';
    }""",
    "own-root": r"""plain {
      fromImage = base; enableFakechroot = true;
      fakeRootCommands = "test -e /etc/base; echo $PWD > /where; chown 1 /where";
    }""",
    "environment": r"""plain {
      contents = [ bash ];
      runAsRoot = ''
        (
          ls -A /; ls /dev; stat -c "%A %n" /tmp; ls /tmp; ls -A /root || true
          ls /proc | grep -c '^[0-9]'; umask; grep -c : /proc/net/dev
        ) > /out
        echo "$SOURCE_DATE_EPOCH $PYTHONHASHSEED" > /epoch
        echo left > /tmp/left; echo left > /dev/shm/left
        # Nobody can write elsewhere than in the tree.
        for path in /nix/store/x /nix/store/*-bash-*/x /proc/sys/kernel/hostname /build/x; do
          if (echo > $path) 2>/dev/null; then echo "written: $path"; fi
        done > /tried
        if (echo > /dev/tcp/127.0.0.1/80) 2>/dev/null; then echo network; fi >> /tried
      '';
    }""",
    "beside": r"""plain {
      fakeRootCommands = ''
        for path in /nix/store/x /nix/store/*-bash-*/x /etc/passwd $out/x /bin/x; do
          if (echo > $path) 2>/dev/null; then echo "written: $path"; fi
        done > tried
        touch $TMPDIR/beside /tmp/beside
      '';
    }""",
    "refers": r"""plain { contents = [ bash ]; runAsRoot = "mkdir /opt; ln -s ${hello}/bin/hello /opt/hello"; }""",
    "refers-extra": r"""plain { contents = [ bash ]; extraCommands = "mkdir opt; ln -s ${hello}/bin/hello opt/hello"; }""",
    "child": r"""plain {
      fromImage = plain { contents = [ bash ]; runAsRoot = "ln -s ${hello}/bin/hello /hello; chown 5 /bin"; };
      contents = [ hello ];
      runAsRoot = "stat -c %u /bin > /seen; /hello >> /seen";
    }""",
    "nothing": r"""plain { fromImage = base; runAsRoot = "touch /etc/base; echo > /x; rm /x; chown 0 /etc"; }""",
    "daemon": r"""plain {
      contents = [ bash ];
      runAsRoot = "(while :; do sleep 1; done) & setsid sleep 1000 & echo done > /done";
    }""",
    "tar": r"""plain {
      addTarball = mkTarball { contents = [ bash ]; copyToRoot = writeTextDir "etc/of-tar" "yes\n"; compressor = "gz"; };
      runAsRoot = "cat /etc/of-tar > /seen; rm /etc/of-tar";
    }""",
    "foreign-tar": r"""plain {
      addTarball = runCommand "foreign.tar" { } ''
        mkdir -p top/etc top/.scripts; echo foreign > top/etc/of-tar; echo base > top/.scripts/mine
        tar --owner=3 --group=4 --mode=u=rwx,g=s,o= -C top -cf $out etc .scripts
        echo closed > top/etc/closed
        tar --owner=0 --group=0 --mode=0 -C top -rf $out etc/closed
      '';
      runAsRoot = ''
        stat -c '%A %u:%g' /etc/of-tar > /seen; chown 0 /etc/of-tar
        (stat -c '%a %u:%g' /etc/closed; cat /etc/closed; echo more >> /etc/closed) >> /seen
        cat /.scripts/mine >> /seen; mkdir /.scripts2; echo earlier > /.scripts2/mine
      '';
      enableFakechroot = true;
      fakeRootCommands = "cat /.scripts2/mine >> /seen; ls -d /.script* >> /seen";
    }""",
    "foreign-store": r"""plain {
      contents = [ hello ];
      addTarball = runCommand "foreign.tar" { } ''
        for own in aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-data bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-gone; do
          mkdir -p top/nix/store/$own; echo own > top/nix/store/$own/file
        done
        tar --owner=0 --group=0 -C top -cf $out nix
      '';
      runAsRoot = "cat /nix/store/a*-data/file > /seen; /bin/hello >> /seen; ls ${bash} >> /seen; rm -r /nix/store/b*-gone";
    }""",
    "owners": r"""plain {
      contents = [ bash ];
      users.app = { uid = 1000; };
      perms = [ { path = "/data/made"; mode = "0640"; uname = "app"; } ];
      runAsRoot = "mkdir -p /data; echo x > /data/made; chown 4:5 /data/made";
    }""",
    "accounts": r"""plain {
      fromImage = accountsBase; contents = [ coreutils ];
      users.app = { uid = 1000; extraGroups = [ "www" ]; };
      users.www = { uid = 33; shell = "/bin/sh"; };
      runAsRoot = ''
        ${shadowSetup}
        stat -c '%a %U:%G %n' /home/app /etc/shadow > /seen
        mkdir /srv; chown app:www /srv
        useradd --uid 1001 --gid app --create-home web
        sed -i '/^app:/d' /etc/shadow
      '';
      perms = [ { path = "/srv"; mode = "0750"; } { path = "/home/web"; gname = "www"; } ];
      config.User = "web:www";
    }""",
    "accounts-apart": r"""plain {
      fromImage = accountsBase; copyToRoot = writeTextDir "sbin/tool" "tool\n";
      users.app.uid = 1000;
      fakeRootCommands = ''
        ( stat -c '%a %u %n' home/app etc/shadow sbin/tool; cat etc/passwd ) > seen
        echo x > home/app/x; chown 1000 home/app/x
        echo web:x:80:80::/: >> etc/passwd
      '';
    }""",
    "accounts-extra": r"""plain {
      fromImage = accountsBase; uid = 7;
      users.app = { uid = 1000; homeMode = "0500"; };
      extraCommands = "cat etc/passwd > seen; echo x > home/app/x; echo web:x:80:80::/: >> etc/passwd";
    }""",
    "accounts-replaced": r"""plain {
      users.app = { uid = 1000; };
      extraCommands = "echo root:x:0:0::/: > etc/passwd; rm -r home";
    }""",
    "useradd": r"""plain {
      contents = [ bash coreutils ]; rootfs = "minimal";
      runAsRoot = ''
        ${shadowSetup}
        groupadd -g 999 app
        useradd -u 999 -g app -m app
        install -d -o app -g app -m 750 /var/lib/app
      '';
    }""",
}  # fmt: skip


IMAGES["foreign-store-described"] = f"({IMAGES['foreign-store']}).description"


@pytest.fixture(scope="module")
def built(build_all: Build) -> Outputs:
    return build_all({**IMAGES, **CHECKS}, PRELUDE)


CHECKS = {
    "same": '(plain { contents = [ bash ]; runAsRoot = "echo 1 > /x; touch /now; cp -p /x /now2"; }).scriptCheck',
    "same-useradd": f"({IMAGES['useradd']}).scriptCheck",
}


def told(image: Image, name: str) -> tuple[int, int, int]:
    """Mode and owner of what a layer says last of a path."""
    member = image.tree[name]
    return member.mode, member.uid, member.gid


def test_a_script_sees_base_and_packages_and_leaves_a_layer(built: Outputs) -> None:
    image = open_image(built["changes"])
    assert image.read("seen").decode() == (
        "drwxr-xr-x 0:0 /\ndrwxr-xr-x 0:0 /etc\n-rw-r--r-- 0:0 /etc/base\ndrwxr-xr-x 0:0 /opt\n7:8\n7:8\ntool\n"
    )
    layer = image.layers[-1]
    assert image.json["history"][-1]["created_by"] == "runAsRoot"
    names = layer.names
    assert names == [
        *(
            "bin",
            "bin/hello",
            "etc",
            "etc/.wh.gone",
            "etc/base",
            "made",
            "opt",
            "opt/.wh.old",
            "opt/new",
            "opt/new/deep",
        ),
        *("opt/new/deep/one", "opt/two", "seen", "usr", "usr/bin", "usr/bin/tool", "var", "var/null", "var/pipe"),
    ]
    assert told(image, "etc/base") == (0o4755, 5, 6)
    assert told(image, "usr") == (0o2755, 0, 0)
    assert told(image, "usr/bin/tool") == (0o644, 7, 8)
    assert told(image, "bin/hello")[1:] == (7, 8)
    tree = {member.name: member for member in layer.members}
    assert tree["opt/new/deep/one"].isreg() and tree["opt/two"].linkname == "opt/new/deep/one"
    assert tree["var/null"].ischr() and (tree["var/null"].devmajor, tree["var/null"].devminor) == (1, 3)
    assert tree["var/pipe"].isfifo() and tree["var/pipe"].mode == 0o620
    assert {member.mtime for member in layer.members} == {1}


def test_order_and_places(built: Outputs) -> None:
    image = open_image(built["order"])
    assert image.read("log").decode() == "runAsRoot / /root /tmp 0\nextraCommands root\nfakeRootCommands root\n"
    assert told(image, "log") == (0o644, 3, 4)
    assert image.json["history"][-1]["created_by"] == "runAsRoot, extraCommands, fakeRootCommands"


def test_fake_root_commands_have_the_packages_files_alone(built: Outputs) -> None:
    image = open_image(built["apart"])
    assert image.read("seen") == b"bin sbin "
    # The base's /sbin is a link, and stays one: what was put in sbin goes where it leads.
    assert told(image, "usr/bin/tool") == (0o644, 1, 2)
    assert image.tree["sbin"].issym()
    assert image.tree["dev/zero"].ischr()
    assert image.layers[-1].members[0].name == "." and image.layers[-1].members[0].uid == 9
    tool = next(member for member in image.layers[-1].members if member.name == "usr/bin/tool")
    assert (image.tree["tool2"].linkname, tool.type) in (("usr/bin/tool", tarfile.REGTYPE), ("", tarfile.LNKTYPE))


def test_a_root_of_its_own(built: Outputs) -> None:
    image = open_image(built["own-root"])
    assert image.read("where") == b"/\n" and told(image, "where") == (0o644, 1, 0)
    assert image.layers[-1].names == ["where"]


def test_what_a_script_finds(built: Outputs) -> None:
    image = open_image(built["environment"])
    lines = image.read("out").decode().splitlines()
    assert lines[: lines.index("full")] == [".scripts", "bin", "dev", "nix", "out", "proc", "share", "tmp", "fd"]
    assert {"null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom", "zero"} <= set(lines)
    assert any(line.startswith("drwxrwxrwt") and line.endswith(" /tmp") for line in lines)
    assert int(lines[-3]) < 10, "processes of nobody else"
    assert lines[-2:] == ["0022", "1"], "a loopback and no other network"
    assert image.read("epoch") == b"1 0\n"
    assert image.read("tried") == b""
    # Nothing of what was there for the script alone.
    assert {name.split("/")[0] for name in image.layers[-1].names} == {"bin", "share", "epoch", "out", "tried"}


def test_nothing_beside_the_tree_can_be_written(built: Outputs) -> None:
    image = open_image(built["beside"])
    assert image.read("tried") == b"" and image.layers[-1].names == ["tried"]


@pytest.mark.parametrize("name", ["refers", "refers-extra"])
def test_what_the_result_refers_to_is_in_the_image(built: Outputs, name: str) -> None:
    image = open_image(built[name])
    assert [n for n in image.store_names if n.startswith("hello-")], "or the link leads nowhere"
    assert image.resolve("opt/hello").endswith("/bin/hello")
    assert not [n for n in image.store_names if "layer" in n or n.startswith(("coreutils", "python3"))]


def test_a_child_adds_nothing_twice(built: Outputs) -> None:
    image = open_image(built["child"])
    assert image.read("seen") == b"5\nHello, world!\n"
    assert len([name for name in image.store_names if name.startswith("hello-")]) == 1
    assert image.layers[-1].names == ["bin", "bin/hello", "seen"] or "seen" in image.layers[-1].names
    assert told(image, "bin") == (0o755, 5, 0)


def test_what_is_as_before_is_not_written(built: Outputs) -> None:
    image = open_image(built["nothing"])
    assert len(image.layers) == len(open_image(built["own-root"]).layers) - 1


def test_what_is_left_running_ends(built: Outputs) -> None:
    assert open_image(built["daemon"]).read("done") == b"done\n"


def test_tars_are_below_too(built: Outputs) -> None:
    image = open_image(built["tar"])
    assert image.read("seen") == b"yes\n" and "etc/of-tar" not in image.tree
    image = open_image(built["foreign-tar"])
    assert image.read("seen") == b"-rwx--S--- 3:4\n0 0:0\nclosed\nbase\nearlier\n/.scripts\n/.scripts1\n/.scripts2\n"
    assert told(image, "etc/of-tar")[1:] == (0, 4)
    assert image.read("etc/closed") == b"closed\nmore\n" and told(image, "etc/closed") == (0, 0, 0)
    assert {name for name in image.tree if ".scripts" in name} == {".scripts", ".scripts/mine", ".scripts2", ".scripts2/mine"}


def test_a_store_of_a_foreign_base_is_seen_too(built: Outputs) -> None:
    image = open_image(built["foreign-store"])
    assert image.read("seen") == b"own\nHello, world!\nbin\nshare\n"
    # What it removed there is gone for children too.
    gone = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-gone"
    assert [name for name in image.layers[-1].names if name.startswith("nix/store/")] == [f"nix/store/.wh.{gone}"]
    described = json.loads((built["foreign-store-described"] / "image.json").read_text())["layers"]
    assert described[-1]["hidden"] == [f"/nix/store/{gone}"]


def test_owners_as_data_come_last(built: Outputs) -> None:
    image = open_image(built["owners"])
    assert told(image, "data/made") == (0o640, 1000, 5)
    assert image.read("etc/passwd").count(b"\napp:") == 1


ROOT, WWW, APP = "root:x:0:0::/root:/bin/sh\n", "www:x:33:33::/var/www:{}\n", "app:x:1000:1000::/home/app:/bin/sh\n"


def test_a_script_finds_users_and_groups(built: Outputs) -> None:
    image = open_image(built["accounts"])
    assert image.read("seen") == b"700 app:app /home/app\n600 root:root /etc/shadow\n"
    assert told(image, "srv") == (0o750, 1000, 33)
    assert told(image, "home/web") == (0o755, 1001, 33) and told(image, "home/app") == (0o700, 1000, 1000)
    passwd = image.read("etc/passwd").decode()
    assert passwd.startswith(ROOT + WWW.format("/bin/sh") + APP + "web:x:1001:1000::/home/web:")
    assert image.read("etc/group") == b"root:x:0:\nwww:x:33:app\napp:x:1000:\n"
    shadow = image.read("etc/shadow").decode().splitlines()
    assert [line.partition(":")[0] for line in shadow] == ["root", "www", "web", "app"], "what it took out is back"
    said = subprocess.check_output(["nix-store", "--read-log", script_layer(built, "accounts")], text=True)
    assert said == "users.www: in /etc/passwd already, uid 33: shell is /bin/sh now, was /bin/false\n"


def script_layer(built: Outputs, name: str) -> str:
    """The derivation that has run the scripts of an image."""
    needed = subprocess.check_output(["nix-store", "--query", "--requisites", built.derivation(name)], text=True)
    [layer] = [path for path in needed.split() if path.endswith("-script-layer.drv")]
    return layer


def test_scripts_that_see_nothing_of_the_base_find_its_accounts(built: Outputs) -> None:
    image = open_image(built["accounts-apart"])
    passwd = ROOT + WWW.format("/bin/false") + APP
    assert image.read("seen").decode() == "700 1000 home/app\n600 0 etc/shadow\n644 0 sbin/tool\n" + passwd
    assert image.read("etc/passwd").decode() == passwd + "web:x:80:80::/:\n"
    assert told(image, "home/app") == (0o700, 1000, 1000) and told(image, "home/app/x") == (0o644, 1000, 0)
    assert told(image, "etc/shadow") == (0o600, 0, 0) and image.tree["sbin"].issym()

    image = open_image(built["accounts-extra"])
    assert image.read("seen").decode() == passwd
    assert image.read("etc/passwd").decode() == passwd + "web:x:80:80::/:\n"
    assert told(image, "home/app") == (0o500, 1000, 1000) and told(image, "home/app/x") == (0o644, 7, 0)
    assert told(image, "etc/shadow") == (0o600, 0, 0) and told(image, "etc/passwd") == (0o644, 0, 0)


def test_what_is_asked_for_holds_in_the_end(built: Outputs) -> None:
    image = open_image(built["accounts-replaced"])
    assert image.read("etc/passwd").decode() == "root:x:0:0::/:\n" + APP
    assert told(image, "home/app") == (0o700, 1000, 1000)


def test_a_script_that_gives_a_user_another_number_is_told(nix: Nix) -> None:
    said = nix.failure(
        'build { name = "x"; users.app.uid = 1000; extraCommands = "echo app:x:7:7::/: > etc/passwd"; }', build=True
    )
    assert "\ndockertools-py derivation: users.app.uid is 1000, but `app` has 7 in /etc/passwd already: write " in said


def test_useradd(built: Outputs) -> None:
    image = open_image(built["useradd"])
    assert b"app:x:999:999::/home/app:/bin/" in image.read("etc/passwd")
    assert b"app:x:999:\n" in image.read("etc/group")
    assert b"app:!:" in image.read("etc/shadow")
    assert told(image, "home/app")[1:] == (999, 999)
    assert told(image, "var/lib/app") == (0o750, 999, 999)
    assert told(image, "etc/shadow")[0] == 0o640


# --- again and again


def test_two_runs_make_the_same(built: Outputs) -> None:
    for name in CHECKS:
        assert built[name].read_text().startswith("two runs made layer "), name


def test_a_difference_is_named_by_its_path(nix: Nix) -> None:
    script = (
        "mkdir /d; date +%N > /d/now; echo $RANDOM$RANDOM > /etc-random; mktemp /name-XXXXXXXXXX; echo same > /same"
    )
    said = nix.failure(
        f'(build {{ name = "x"; contents = [ bash ]; runAsRoot = "{script}"; }}).scriptCheck', build=True
    )
    (line,) = (line for line in said.splitlines() if "two runs" in line)
    assert ": runAsRoot: two runs made different layers: /d/now in content, from byte " in line
    assert "; /etc-random in " in line and line.count("is there once only") == 2
    assert line.endswith(
        ": leave out what follows the clock, random numbers or the machine, or remove it at the end of the script"
    )


# --- failing


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            r'runAsRoot = "echo words >&2\n\nuseradd bob\ntrue";',
            "runAsRoot: line 3, `useradd bob`, ended with exit code 127; its last words are above",
        ),
        ('runAsRoot = "exit 7";', "runAsRoot: ended with exit code 7; its last words are above"),
        ('runAsRoot = "kill -9 $$";', "runAsRoot: ended with exit code 137; its last words are above"),
        (
            'fakeRootCommands = "f() { (exit 9); }; f";',
            "fakeRootCommands: line 1, `f() { (exit 9); }; f`, ended with exit code 9; its last words are above",
        ),
        (
            r'fakeRootCommands = "\n\nchown nobody-known /bin"; enableFakechroot = true;',
            "fakeRootCommands: line 3, `chown nobody-known /bin`, ended with exit code 1; its last words are above",
        ),
        (
            r'runAsRoot = ":"; extraCommands = "true\nfalse";',
            "extraCommands: line 2, `false`, ended with exit code 1; its last words are above",
        ),
        (
            r'runAsRoot = "true\n( cd /none\n  true )\ntrue";',  # the line of what failed, not that of the bracket
            "runAsRoot: line 2, `( cd /none`, ended with exit code 1; its last words are above",
        ),
        ('runAsRoot = "echo $(false)\nexit 1";', "runAsRoot: ended with exit code 1; its last words are above"),
        (
            'runAsRoot = "rm -rf /.scripts; echo $(false); [ -e /etc/none ]";',
            "runAsRoot: ended with exit code 1; its last words are above",
        ),
    ],
)
def test_a_failing_script_is_told_in_one_line(nix: Nix, arguments: str, line: str) -> None:
    said = nix.failure(f'build {{ name = "x"; contents = [ bash ]; {arguments} }}', build=True)
    assert f"\ndockertools-py derivation: {line}\n" in said
    assert "Traceback" not in said
    assert "words" not in arguments or "\nwords\n" in said


def test_arguments_are_checked(nix: Nix) -> None:
    for given, said in {
        "runAsRoot = [ ]": "build: `runAsRoot` is [ ]: write null or a string.",
        "fakeRootCommands = null": "build: `fakeRootCommands` is null: write a string.",
        'enableFakechroot = "yes"': 'build: `enableFakechroot` is "yes": write true or false.',
        'rootMode = "real"': 'build: `rootMode` is "real": write "emulated" or "uid-range".',
    }.items():
        assert said in nix.failure(f'build {{ name = "x"; {given}; }}')


def test_scripts_are_an_input_of_their_own_layer_only(nix: Nix) -> None:
    def names(script: str) -> set[str]:
        made = nix.instantiate(f'build {{ name = "x"; tag = "1"; contents = [ hello ]; runAsRoot = "{script}"; }}')
        return {name for name in made if name.endswith(".drv")}

    new = {name_of(path) for path in names("echo 2 > /x") - names("echo 1 > /x")}
    assert new == {
        *("script-layer.drv", "script-layer-gz.drv", "script-layer-layers.drv", "script-layer-layers-gz.drv"),
        *("image.drv", "docker-image-x.tar.drv"),
    }
