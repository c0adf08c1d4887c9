"""Trees in which scripts run, as root of ours and as real root in a chroot, and how what they made is compared."""

import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dockertools_py.root.table import FileId, file_id
from tests.conftest import CHECKOUT

SOMEBODY = 61234
"""A user without any right, who is nobody else: Nix ends all processes of its build users when a build ends."""
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
HOST = ("/usr",)
"""What trees have of the host, read-only: programs and libraries."""
MERGED = ("bin", "sbin", "lib", "lib64")
DEVICE_FLAGS = {"3": stat.S_IFCHR, "4": stat.S_IFBLK}
MOUNTS = ("proc", "dev", "usr")
TIMEOUT = 120
HERE = Path(__file__).parent

_REAL = """
set -e
for each in proc dev usr; do mkdir -p "$1/$each"; done
mount -t proc proc "$1/proc"
mount --rbind /dev "$1/dev"
mount --bind /usr "$1/usr"; mount -o remount,bind,ro "$1/usr"
cd "$1"
umask 022
top=$1; shift
exec env -i "$@" </dev/null
"""


@dataclass
class Ran:
    """What came of a run: exit code or error, both outputs together, and what was recorded."""

    code: int | None
    output: str
    error: str | None = None
    records: dict[FileId, Any] | None = None
    """By file; None of real root, who needs none."""


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that everybody may enter, gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="dockertools-root-", dir=os.environ.get("TMPDIR", "/tmp")))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def make_tree(top: Path, files: Mapping[str, str | bytes] | None = None) -> Path:
    """A tree with the host's programs, a passwd, and `files` (executable)."""
    for name in ("etc/pam.d", "etc/skel", "root", "home", "run", "var/log", "var/lib", "usr", "tmp"):
        (top / name).mkdir(parents=True)
    (top / "tmp").chmod(0o1777)
    for name in MERGED:
        if os.path.lexists(f"/usr/{name}"):
            (top / name).symlink_to(f"usr/{name}")
    (top / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/usr/sbin/nologin\n")
    (top / "etc/group").write_text("root:x:0:\nshadow:x:42:\nusers:x:100:\nnogroup:x:65534:\n")
    (top / "etc/shadow").write_text("root:*:19000:0:99999:7:::\nnobody:*:19000:0:99999:7:::\n")
    (top / "etc/shadow").chmod(0o640)
    (top / "etc/skel/.profile").write_text("# for everybody\n")
    for name in ("su", "other"):
        kinds = ("auth", "account", "session")
        (top / "etc/pam.d" / name).write_text("".join(f"{kind} sufficient pam_permit.so\n" for kind in kinds))
    for name, content in (files or {}).items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        (top / name).chmod(0o755)
    return top


def give_away(top: Path, owner: int = SOMEBODY) -> None:
    """Make somebody the owner of a tree."""
    for folder, folders, names in os.walk(top):
        for name in (".", *folders, *names):
            os.lchown(os.path.join(folder, name), owner, owner)


def run_ours(top: Path, command: Sequence[str], *, preamble: Sequence[str] = (), timeout: int = TIMEOUT, **options: Any) -> Ran:
    """As root of ours: a process of SOMEBODY calls `run`. `preamble` is a command that gets it as its arguments."""
    job = {"command": list(command), "top": str(top), "environment": ENVIRONMENT, "known": {}, "binds": HOST, **options}
    user = ("setpriv", f"--reuid={SOMEBODY}", f"--regid={SOMEBODY}", "--clear-groups")
    with tempfile.TemporaryFile() as said:
        program = (sys.executable, "-B", "-I", str(HERE / "runner.py"), str(CHECKOUT), str(said.fileno()))
        done = subprocess.run(
            [*preamble, *user, *program], input=json.dumps(job), pass_fds=[said.fileno()],
            stdout=-1, stderr=subprocess.STDOUT, cwd="/", text=True, timeout=timeout, check=False,
        )  # fmt: skip
        said.seek(0)
        text = said.read()
    assert text, done.stdout
    result = json.loads(text)
    records = {FileId(*key[:3], bytes.fromhex(key[3])): record for key, record in result["records"]}
    return Ran(result["code"], done.stdout, result["error"], records)


def run_real(top: Path, command: Sequence[str]) -> Ran:
    """As root of this machine, in a chroot."""
    environment = [f"{name}={value}" for name, value in ENVIRONMENT.items()]
    inside = ("setpriv", "--clear-groups", "chroot", str(top), *command)
    namespaces = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private")
    done = subprocess.run(
        [*namespaces, "sh", "-c", _REAL, "sh", str(top), *environment, *inside],
        stdout=-1, stderr=subprocess.STDOUT, text=True, timeout=TIMEOUT, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    code = done.returncode
    return Ran(code, done.stdout)


def look(top: Path, ran: Ran) -> dict[str, tuple[Any, ...]]:
    """All of a tree: by path the kind, mode, owner, device, capability, content and the other names of the file."""
    found: dict[str, os.stat_result] = {}
    names: dict[int, list[str]] = {}
    for folder, folders, files in os.walk(top):
        if folder == str(top):
            folders[:] = [name for name in folders if name not in MOUNTS]
        for name in folders + files:
            path = os.path.relpath(os.path.join(folder, name), top)
            found[path] = os.lstat(top / path)
            names.setdefault(found[path].st_ino, []).append(path)
    return {
        path: (*_entry(top / path, status, ran), tuple(sorted(names[status.st_ino])))
        for path, status in found.items()
    }


def differences(real: Mapping[str, Any], ours: Mapping[str, Any]) -> str:
    """What is not equal, for a message."""
    return "\n".join(
        f"{name}: real {real.get(name)}\n{' ' * len(name)}  ours {ours.get(name)}"
        for name in sorted({*real, *ours})
        if real.get(name) != ours.get(name)
    )


def _entry(path: Path, status: os.stat_result, ran: Ran) -> tuple[Any, ...]:
    kind, mode, owner = stat.S_IFMT(status.st_mode), stat.S_IMODE(status.st_mode), (status.st_uid, status.st_gid)
    device = (os.major(status.st_rdev), os.minor(status.st_rdev)) if kind in (stat.S_IFCHR, stat.S_IFBLK) else (0, 0)
    xattrs = os.listxattr(path, follow_symlinks=False)
    capability = "".join(os.getxattr(path, name, follow_symlinks=False).hex() for name in xattrs)
    if ran.records is not None:
        assert owner == (SOMEBODY, SOMEBODY), f"{path} belongs to {owner}"
        assert not xattrs
        owner = (0, 0)
        record = ran.records.get(file_id(path))
        if record is not None:
            uid, gid, mode, flag, recorded_device, recorded_xattrs = record
            owner, capability = (uid, gid), "".join(value for _, value in recorded_xattrs)
            if flag in DEVICE_FLAGS:
                kind, device = DEVICE_FLAGS[flag], tuple(recorded_device)
    content = ""
    if kind == stat.S_IFLNK:
        content = os.readlink(path)
    elif kind == stat.S_IFREG:
        content = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    return kind, mode, owner, device, capability, content
