"""Images whose scripts have real ids (`rootMode = "uid-range"`), and what must come of them, in a stand-in and in Nix."""

import json
import tarfile
from pathlib import Path

PRELUDE = r"""
  base = build {
    name = "base"; tag = "1"; contents = [ bash coreutils ];
    runAsRoot = ''
      mkdir -p /etc /var; chmod 2775 /var; echo secret > /var/secret; chown 3:4 /var/secret; chmod 0 /var/secret
      cp ${hello}/bin/hello /var/set-id; chown 0:9 /var/set-id; chmod 4750 /var/set-id; mknod /var/null c 1 3
      echo x > /var/given; chown 5:6 /var/given; chmod 6755 /var/given; ln -s secret /var/link; chown -h 7:8 /var/link
    '';
  };
  far = build {
    name = "far"; tag = "1"; contents = [ bash ]; runAsRoot = "mkdir /opt; echo x > /opt/x; chown 3:65536 /opt/x";
  };
  made = attrs: build ({ name = "x"; tag = "1"; rootMode = "uid-range"; contents = [ coreutils ]; } // attrs);
  layer = image: builtins.head (builtins.filter (one: one.name == "script-layer") image.layers);
  changes = {
    fromImage = base; contents = [ hello ]; uid = 11; gid = 12;
    runAsRoot = ''
      stat -c '%A %u:%g %s' /bin/hello /var/secret > /seen
      stat -c '%u:%g %s' /var/given >> /seen; cat /var/secret >> /seen
      chmod 1777 /tmp; touch /tmp/left
      install -d -o 1000 -g 999 -m 1770 /srv/data; echo hi > /srv/data/f; chown -R 65535:65535 /srv/data
      mkfifo -m 620 /srv/pipe
      mv /var/set-id /set-id; chown 70 /var/given; ln /var/secret /secret; chown -h 1:2 /var/link; touch /var; chown 12 /
    '';
    fakeRootCommands = "test ! -e /var/secret; touch beside; chown 44:45 beside; id -u > who";
    extraCommands = "touch plain; chown 3 plain";
  };
"""

AS_ROOT = r"""
import os, signal, stat, ctypes

def tried(what, do):
    try:
        do()
        print(what, "went well")
    except OSError as error:
        print(what, error.strerror)

status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
print(*(status[name].strip() for name in ("CapPrm", "CapEff", "CapBnd", "NoNewPrivs", "Seccomp")))
print(sorted(int(name) for name in os.listdir("/proc") if name.isdigit()), os.uname().nodename)
libc = ctypes.CDLL(None, use_errno=True)
def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
tried("unmount", lambda: checked(libc.umount2(b"/nix/store", 2)))
tried("remount", lambda: checked(libc.mount(None, b"/nix/store", None, 32 | 4096, None)))
tried("trace", lambda: checked(libc.ptrace(16, 1, 0, 0)))
tried("root of 1", lambda: os.listdir("/proc/1/root"))
tried("memory of 1", lambda: open("/proc/1/mem", "rb").read(1))
tried("store", lambda: open("/nix/store/x", "w"))
tried("setting", lambda: open("/proc/sys/user/max_user_namespaces", "w").write("1"))
os.kill(1, signal.SIGKILL)
tried("far", lambda: os.chown("/var", 65536, -1))
tried("device", lambda: os.mknod("/n", 0o600 | stat.S_IFCHR, os.makedev(1, 3)))
tried("set-id", lambda: os.chmod("/var", 0o2755))
tried("xattr", lambda: os.setxattr("/var", "user.x", b"x"))
os.mkdir("/root", 0o700)
os.mkdir("/tmp/of-script")
os.chmod("/tmp/of-script", 0o700)
child = os.fork()
if not child:
    os.setgroups([]); os.setgid(1000); os.setuid(1000)
    tried("secret as another", lambda: open("/var/secret"))
    tried("write as another", lambda: open("/x", "w"))
    tried("chown as another", lambda: os.chown("/var", 1000, 1000))
    os._exit(0)
os.waitpid(child, 0)
if not os.fork():
    signal.pause()
"""

SAID = """\
00000000a80425fb 00000000a80425fb 00000000a80425fb 1 2
unmount Operation not permitted
remount Operation not permitted
trace Operation not permitted
root of 1 Permission denied
memory of 1 Permission denied
store Read-only file system
setting Permission denied
far Invalid argument
device Operation not permitted
set-id Operation not permitted
xattr Operation not supported
secret as another Permission denied
write as another Permission denied
chown as another Operation not permitted
"""

LAYERS = {
    "changes": "layer (made changes)",
    "emulated": 'layer (made (changes // { rootMode = "emulated"; }))',
    "as-root": f"""
      layer (made {{
        fromImage = base; runAsRoot = "${{python3}}/bin/python3 -IBu ${{builtins.toFile "as-root.py" ''{AS_ROOT}''}} > /said";
      }})
    """,
}
HINT = (
    'With rootMode = "uid-range" set-id bits, capabilities and other xattrs, devices, and ids from 65536 on are refused: '
    "if that is why, leave `rootMode` out"
)
FAILING = {
    'layer (made { fakeRootCommands = "touch x\\nchmod u+s x"; })': (
        f"fakeRootCommands: line 2, `chmod u+s x`, ended with exit code 1; its last words are above. {HINT}"
    ),
    'layer (made { contents = [ bash ]; runAsRoot = "kill -9 $$"; })': (
        f"runAsRoot: ended with exit code 137; its last words are above. {HINT}"
    ),
    'layer (made { fromImage = far; runAsRoot = "true"; })': (
        "/opt/x: belongs to 3:65536, and there are no ids from 65536 on with rootMode = \"uid-range\": "
        "give it to others, or leave `rootMode` out"
    ),
}


def check_layers(outputs: dict[str, Path]) -> None:
    """What all of LAYERS must be."""
    described = {name: json.loads((outputs[name] / "layers.json").read_text()) for name in ("changes", "emulated")}
    with tarfile.open(outputs["changes"] / "layer.tar") as tar:
        found = {member.name: (member.mode, member.uid, member.gid) for member in tar}
    assert found["var/given"] == (0o755, 70, 6)
    assert found["set-id"] == (0o4750, 0, 9)
    assert found["srv/data/f"] == (0o644, 65535, 65535)
    assert (outputs["changes"] / "layer.tar").read_bytes() == (outputs["emulated"] / "layer.tar").read_bytes()
    assert len(described["changes"]) == len(described["emulated"])
    with tarfile.open(outputs["as-root"] / "layer.tar") as tar:
        assert tar.getnames() == ["root", "said"]
        file = tar.extractfile("said")
        assert file
        capabilities, namespaces, rest = file.read().decode().split("\n", 2)
    assert f"{capabilities}\n{rest}" == SAID
    assert namespaces.endswith(" localhost")
    assert namespaces.startswith("[1, ")
    assert namespaces.count(",") < 8, "processes of nobody else"
