"""Trees in which scripts run, as root of ours and as real root in a chroot."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dockertools_py.root.table import FileId
from tests.conftest import CHECKOUT
from tests.root.looking import Ran

SOMEBODY = 40_000 + os.getpid() % 20_000
"""A user without any right, who is nobody else: Nix ends all processes of its build users when a build ends, and tests that run
here at the same time look for what theirs has left."""
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
HOST = ("/usr",)
"""What trees have of the host, read-only: programs and libraries."""
MERGED = ("bin", "sbin", "lib", "lib64")
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
