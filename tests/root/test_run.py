"""How a run begins and ends: exit codes, what is left, what is in the way, and what the tree looks like afterwards."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.root.looking import Ran
from tests.root.trees import SOMEBODY, give_away, make_tree, run_ours

pytestmark = pytest.mark.xdist_group("root")  # they look for processes of the one user that all of them use


@pytest.fixture
def top(folder: Path) -> Path:
    top = make_tree(folder / "tree")
    give_away(top)
    return top


def sh(top: Path, text: str, **options: object) -> Ran:
    return run_ours(top, ("/bin/sh", "-c", text), **options)


def processes() -> set[int]:
    """All processes of SOMEBODY, dead ones that nobody has waited for left out."""
    found = set()
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                status = Path(f"/proc/{name}/status").read_text()
            except OSError:
                continue
            if f"\nUid:\t{SOMEBODY}\t" in status and "\nState:\tZ" not in status:
                found.add(int(name))
    return found


@pytest.mark.parametrize(
    ("text", "code"),
    [("exit 0", 0), ("exit 3", 3), ("exit 255", 255), ("kill -9 $$", 137), ("kill -TERM $$", 143), ("kill -SEGV $$", 139)],
)
def test_exit_codes(top: Path, text: str, code: int) -> None:
    assert sh(top, text).code == code


def test_what_is_left_ends_with_the_script(top: Path) -> None:
    before = processes()
    started = time.monotonic()
    ran = sh(top, "sleep 1000 & setsid sleep 1001 & (sleep 1002 & sleep 1003) & trap '' TERM; sleep 0.1; echo done; exit 4")
    assert (ran.code, ran.output) == (4, "done\n")
    assert time.monotonic() - started < 60
    assert processes() == before


def test_whoever_ends_the_caller_ends_all(top: Path, folder: Path) -> None:
    before = processes()
    told = folder / "told"
    told.touch()
    os.chown(told, SOMEBODY, SOMEBODY)
    program = (
        "import sys, os; sys.path.insert(0, sys.argv[1]); from pathlib import Path; from dockertools_py.root.run import run; "
        "print(os.getpid(), flush=True); run(['/bin/sh', '-c', 'sleep 1000 & echo up; sleep 1001'], top=Path(sys.argv[2]), "
        "environment={'PATH': '/bin'}, table={}, binds=['/usr'])"
    )
    user = ("setpriv", f"--reuid={SOMEBODY}", f"--regid={SOMEBODY}", "--clear-groups")
    with subprocess.Popen(
        [*user, sys.executable, "-B", "-I", "-c", program, str(Path(__file__).parents[2]), str(top)], stdout=subprocess.PIPE
    ) as caller:
        assert caller.stdout
        caller.stdout.readline()
        assert caller.stdout.readline() == b"up\n"
        assert len(processes() - before) >= 5
        caller.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 60
    while processes() != before:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_outputs_come_in_order_and_input_is_empty(top: Path) -> None:
    ran = sh(top, "for i in 1 2 3; do echo out$i; echo err$i >&2; done; cat; ls -l /proc/self/fd | wc -l")
    assert ran.output == "out1\nerr1\nout2\nerr2\nout3\nerr3\n5\n"  # a line above, three descriptors, and that of ls


def test_what_a_script_sees(top: Path) -> None:
    ran = sh(
        top,
        "hostname; ls /proc | grep -c '^[0-9]*$'; echo $(ls /dev); stat -c '%a' /tmp /dev/shm; "
        "cat /proc/net/dev | grep -c :; umask; echo $PPID; pwd; test -c /dev/null; ls -A /tmp",
    )
    assert ran.output.split("\n")[:-1] == [
        "localhost",
        "4",  # process 1, sh, ls, grep
        "fd full null ptmx pts random shm stderr stdin stdout tty urandom zero",
        "1777",
        "1777",
        "1",
        "0022",
        "1",
        "/",
    ]


def test_the_tree_is_as_it_was(folder: Path) -> None:
    top = folder / "small"
    top.mkdir()
    (top / "busybox").write_bytes(Path("/bin/busybox").read_bytes())
    (top / "busybox").chmod(0o755)
    give_away(top)
    text = "echo x > /tmp/x; /busybox mkdir /tmp/d; echo y > /dev/shm/y; echo ran"
    ran = run_ours(top, ("/busybox", "sh", "-c", text), binds=["/usr/bin"])
    assert ran.output == "ran\n"
    assert ran.records == {}
    assert os.listdir(top) == ["busybox"]


def test_what_a_script_makes_at_mount_points_stays(folder: Path) -> None:
    top = folder / "small"
    top.mkdir()
    (top / "busybox").write_bytes(Path("/bin/busybox").read_bytes())
    (top / "busybox").chmod(0o755)
    give_away(top)
    text = "/busybox chmod 1777 /tmp; /busybox touch /tmp/x; /busybox mkdir /usr/own"
    ran = run_ours(top, ("/busybox", "sh", "-c", text), binds=["/usr/bin"])
    assert ran.code == 0
    assert sorted(os.listdir(top)) == ["busybox", "tmp", "usr"]
    assert os.listdir(top / "usr") == ["own"]
    assert os.listdir(top / "tmp") == []
    assert (top / "tmp").stat().st_mode & 0o7777 == 0o1777


def test_tmp_of_a_base_keeps_what_it_had(top: Path) -> None:
    (top / "tmp/theirs").touch()
    os.chown(top / "tmp/theirs", SOMEBODY, SOMEBODY)
    assert sh(top, "touch /tmp/mine; mkdir -p /tmp/a/b; chmod 0 /tmp/a").code == 0
    assert os.listdir(top / "tmp") == ["theirs"]


def test_what_was_known_is_shown_and_kept(top: Path) -> None:
    (top / "theirs").write_text("x")
    os.chown(top / "theirs", SOMEBODY, SOMEBODY)
    text = "stat -c '%u %g %a' /theirs; chmod u-s /theirs; stat -c '%u %g %a' /theirs"
    ran = sh(top, text, known={str(top / "theirs"): [7, 8, 0o4755]})
    assert ran.output == "7 8 4755\n7 8 755\n"
    assert [record[:3] for record in (ran.records or {}).values()] == [[7, 8, 0o755]]


def test_without_a_root_of_its_own(top: Path, folder: Path) -> None:
    (folder / "beside").mkdir()
    os.chown(folder / "beside", SOMEBODY, SOMEBODY)
    text = (
        f"pwd; touch a; chown 5:6 a; chmod 4755 a; stat -c '%u %g %a' a; ! touch {folder}/beside/x 2>&1; id -u; "
        "test -e /etc/os-release && echo host; ls /proc | grep -c '^[0-9]*$'"
    )
    ran = sh(top, text, chroot=False, cwd=str(top))
    assert ran.output.replace("touch: cannot touch ", "") == (
        f"{top}\n5 6 4755\n'{folder}/beside/x': Read-only file system\n0\nhost\n4\n"
    )
    assert len(ran.records or {}) == 1
    ran = sh(top, f"touch {folder}/beside/x", chroot=False, cwd=str(top), writable=[str(folder / "beside")])
    assert ran.code == 0
    assert (folder / "beside/x").exists()


@pytest.mark.parametrize("name", ["proc", "dev", "usr"])
def test_a_file_in_the_way(top: Path, name: str) -> None:
    (top / name).rmdir() if (top / name).is_dir() else None
    (top / name).write_text("a file")
    ran = sh(top, "echo ran")
    assert ran.error == (
        f"/{name}: the image has something else than a directory there, which scripts need; "
        "remove it, or build without scripts"
    )
    assert "ran" not in ran.output


def test_links_of_a_base_lead_nowhere_else(top: Path, folder: Path) -> None:
    outside = folder / "outside"
    outside.mkdir()
    os.chown(outside, SOMEBODY, SOMEBODY)
    for name in ("dev", "nix", "proc"):
        (top / name).symlink_to(outside)  # in the tree this is a path that is not there
    ran = sh(top, "ls / > /dev/null", binds=["/usr", str(folder)])
    assert ran.error is not None
    assert "something else than a directory there" in ran.error
    assert os.listdir(outside) == []


def test_no_such_command(top: Path) -> None:
    ran = run_ours(top, ("/nonesuch", "x"))
    assert ran.error == "/nonesuch: cannot be run in the tree: No such file or directory (or its interpreter is missing)"
    ran = run_ours(top, ("/etc/passwd",))
    assert ran.error == "/etc/passwd: cannot be run in the tree: Permission denied"


_OTHER_CALLS = """
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
  long r;
  if (argc > 1) r = syscall(0x40000000 + SYS_getpid);
  else __asm__ volatile("int $0x80" : "=a"(r) : "a"(20) : "memory");
  return r > 0 ? 0 : 1;
}
"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="other machines have no second set of calls")
@pytest.mark.parametrize("argument", ["", "x32"])
def test_programs_of_another_machine_end_with_a_word(top: Path, argument: str) -> None:
    source = top.parent / "other.c"
    source.write_text(_OTHER_CALLS)
    subprocess.run(["musl-gcc", "-static", "-o", top / "other", source], check=True)
    ran = sh(top, f"/other {argument} || echo $?; echo and the script goes on")
    assert ran.code == 0
    assert "/other: a program for another machine than x86_64 (32 bits?), ended" in ran.output
    assert "137\nand the script goes on\n" in ran.output


_WITH_A_LIMIT = """
import ctypes, os, sys
ready, mapped = os.pipe(), os.pipe()
child = os.fork()
if child:
    os.read(ready[0], 1)
    for name in ("uid_map", "gid_map"):
        open(f"/proc/{child}/{name}", "w").write("0 0 65536")
    os.write(mapped[1], b".")
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
assert ctypes.CDLL(None).unshare(0x10000000) == 0
os.write(ready[1], b".")
os.read(mapped[0], 1)
open("/proc/sys/user/max_user_namespaces", "w").write("0")
os.execvp(sys.argv[1], sys.argv[1:])
"""


def test_a_user_namespace_that_is_forbidden_is_explained(top: Path) -> None:
    before = Path("/proc/sys/user/max_user_namespaces").read_text()
    # The setting is one of each user namespace, so the machine's own stays as it is.
    ran = run_ours(top, ("/bin/true",), preamble=(sys.executable, "-c", _WITH_A_LIMIT))
    assert ran.error is not None
    assert "user.max_user_namespaces is 0: set it higher, `sysctl -w user.max_user_namespaces=15000`" in ran.error
    assert Path("/proc/sys/user/max_user_namespaces").read_text() == before


def test_a_chroot_is_explained(top: Path, folder: Path) -> None:
    inner = folder / "inner"
    inner.mkdir()
    script = (
        f"cd {inner}; mkdir usr proc tree dev; cp -a /lib /lib64 /bin .; "
        f"mount --bind /usr {inner}/usr; mount -t proc proc {inner}/proc; mount --bind {top} {inner}/tree; "
        f"mount --bind /dev {inner}/dev; mkdir -p {inner}{Path(__file__).parents[2]}; "
        f'mount --bind {Path(__file__).parents[2]} {inner}{Path(__file__).parents[2]}; exec chroot {inner} "$@"'
    )
    ran = run_ours(Path("/tree"), ("/bin/true",), preamble=("unshare", "--mount", "sh", "-c", script, "sh"))
    assert ran.error is not None
    assert "this is a chroot, in which Linux allows none" in ran.error


def test_more_mounts_than_descriptors(top: Path, folder: Path) -> None:
    paths = [folder / f"bound-{number}" for number in range(100)]
    for path in paths:
        path.mkdir()
    limit = ("prlimit", "--nofile=64:1024")
    ran = sh(top, f"ls -d {folder}/bound-* | wc -l; ulimit -n", preamble=limit, binds=["/usr", *map(str, paths)])
    assert ran.output == "100\n64\n"
