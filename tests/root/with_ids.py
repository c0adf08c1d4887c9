"""Stands in for a Nix that knows `uid-range`: runs a program as Nix starts a builder of that feature, as root does it.

    python3 with_ids.py CHECKOUT FIRST_ID PROGRAM...

uid 0 of 65536 ids in user, mount and pid namespaces of its own, with all capabilities, no new privileges, and a filter that
refuses set-id bits and xattrs.
"""

import ctypes
import errno
import os
import sys

sys.path.insert(0, sys.argv[1])

from dockertools_py.root import kernel
from dockertools_py.root.filter import ALLOW, EPERM, SET_ID, When, assemble
from dockertools_py.root.machine import this_machine

NEW_USER_MOUNT_PID = 0x30020000
ENOTSUP = 0x00050000 | errno.ENOTSUP
LIKE_NIX = {
    "chmod": When(1, SET_ID, EPERM, ALLOW),
    "fchmod": When(1, SET_ID, EPERM, ALLOW),
    "fchmodat": When(2, SET_ID, EPERM, ALLOW),
    "fchmodat2": When(2, SET_ID, EPERM, ALLOW),
    **dict.fromkeys(("setxattr", "lsetxattr", "fsetxattr", "setxattrat"), ENOTSUP),
}


def filter_calls() -> None:
    """Like Nix."""
    machine = this_machine()
    assert machine
    os.close(kernel.install_filter(assemble(machine, LIKE_NIX), machine))


def main(first: int, command: list[str]) -> None:
    """In a child, whose exit code is ours."""
    ready, mapped = os.pipe(), os.pipe()
    child = os.fork()
    if child:
        os.read(ready[0], 1)
        for name in ("uid_map", "gid_map"):
            with open(f"/proc/{child}/{name}", "w") as file:
                file.write(f"0 {first} 65536")
        os.write(mapped[1], b".")
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    kernel.end_with_parent(9)
    kernel.unshare(NEW_USER_MOUNT_PID)
    os.write(ready[1], b".")
    os.read(mapped[0], 1)
    os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    builder = os.fork()
    if builder:
        os._exit(os.waitstatus_to_exitcode(os.waitpid(builder, 0)[1]))
    kernel.end_with_parent(9)
    kernel.mount(b"none", b"/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount(b"proc", b"/proc", b"proc", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)
    ctypes.CDLL(None).prctl(4, 1)  # PR_SET_DUMPABLE: who changed ids has lost it
    filter_calls()
    os.execv(command[0], command)


if __name__ == "__main__":
    main(int(sys.argv[2]), sys.argv[3:])
