"""Which system calls of a script the kernel answers, refuses or hands over: a seccomp filter, in BPF.

A filter is a small program which the kernel runs for each system call (Documentation/userspace-api/seccomp_filter.rst). It
sees the number and the six arguments as plain words, and cannot follow pointers. Its answers here:

    ALLOW    as if there were no filter. Of calls which are always allowed the kernel remembers that, and does not even
             run the filter: they cost nothing.
    NOTIFY   the process waits, and the supervisor reads the call from a descriptor and answers it, or lets it happen.
    errno    the call fails. For what a script has no business with: mounts, other namespaces, debuggers.
    TRAP     the process gets the signal SIGSYS, and the supervisor, its tracer, answers in the stead of a handler.

Why both NOTIFY and TRAP? Nix has a filter of its own that refuses set-id bits and xattrs, and of several filters' answers
the strictest wins: TRAP before errno before NOTIFY before ALLOW. Only TRAP overrules Nix. It is the slower one, so it is
kept for exactly what Nix refuses: `chmod 755` is a NOTIFY, `chmod 4755` a TRAP. Nothing becomes possible by this: no real
file gets a set-id bit or an xattr, only the table does.

For example `mkdir` is compiled to "if the number is 83, return NOTIFY", and `chmod` to

    if number == 90: load the low half of argument 1; return TRAP if it has a bit of 0o6000, else NOTIFY

Calls of another architecture (32-bit programs, x32) have other numbers: all of them are handed over, and the supervisor ends
the program and says why, since to let them through would make files that nobody has recorded.
"""

import errno
import struct
from dataclasses import dataclass

from dockertools_py.root.machine import Machine

ALLOW, NOTIFY = 0x7FFF0000, 0x7FC00000
TRAP_MARK = 0x6474
"""Comes back in si_errno, and tells our SIGSYS from another filter's."""
TRAP = 0x00030000 | TRAP_MARK
EPERM, ENOSYS = (0x00050000 | number for number in (errno.EPERM, errno.ENOSYS))

# Offsets in struct seccomp_data (little endian: the low half of an argument comes first)
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16
# BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_JEQ|BPF_K, BPF_JMP|BPF_JSET|BPF_K, BPF_RET|BPF_K
_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_INSTRUCTION = struct.Struct("=HBBI")


@dataclass(frozen=True, slots=True)
class When:
    """An answer that depends on an argument: `then` if it has any bit of `mask` (32 bits), else `otherwise`."""

    argument: int
    mask: int
    then: int
    otherwise: int


SET_ID = 0o6000
CREATING = 0o100 | 0o20000000
"""O_CREAT and the bit of O_TMPFILE that is its own."""
_PR_SET_KEEPCAPS = 8
_NEW_NAMESPACE = 0x7E020080  # CLONE_NEWTIME, NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
_NEW_PROCESS_OF_OTHERS = 0x7E820000  # the same for clone(2), without NEWTIME (a signal there), with CLONE_UNTRACED

_NOTIFIED = (
    "chown", "lchown", "fchown", "fchownat", "mknod", "mknodat", "mkdir", "mkdirat", "symlink", "symlinkat", "creat",
    "openat2", "stat", "lstat", "fstat", "newfstatat", "statx", "getxattr", "lgetxattr", "fgetxattr", "getxattrat",
    "listxattr", "llistxattr", "flistxattr", "listxattrat", "removexattr", "lremovexattr", "fremovexattr",
    "removexattrat", "getuid", "geteuid", "getgid", "getegid", "getresuid", "getresgid", "getgroups", "setuid", "setgid",
    "setreuid", "setregid", "setresuid", "setresgid", "setfsuid", "setfsgid", "setgroups", "execve", "execveat", "chroot",
    "capget", "capset",
)  # fmt: skip
_REFUSED = (
    "mount", "umount2", "pivot_root", "setns", "reboot", "ptrace", "open_tree", "open_tree_attr", "move_mount", "fsopen",
    "fsconfig", "fsmount", "fspick", "mount_setattr",
)  # fmt: skip
# io_uring does by itself what a filter should see; clone3's flags are behind a pointer. Programs fall back, as in Docker.
_ABSENT = ("io_uring_setup", "io_uring_enter", "io_uring_register", "clone3")

RULES: dict[str, int | When] = {
    **dict.fromkeys(_NOTIFIED, NOTIFY),
    **dict.fromkeys(_REFUSED, EPERM),
    **dict.fromkeys(_ABSENT, ENOSYS),
    **dict.fromkeys(("setxattr", "lsetxattr", "fsetxattr", "setxattrat"), TRAP),
    "chmod": When(1, SET_ID, TRAP, NOTIFY),
    "fchmod": When(1, SET_ID, TRAP, NOTIFY),
    "fchmodat": When(2, SET_ID, TRAP, NOTIFY),
    "fchmodat2": When(2, SET_ID, TRAP, NOTIFY),
    "open": When(1, CREATING, NOTIFY, ALLOW),
    "openat": When(2, CREATING, NOTIFY, ALLOW),
    "prctl": When(0, _PR_SET_KEEPCAPS, NOTIFY, ALLOW),  # and others that have this bit
    "unshare": When(0, _NEW_NAMESPACE, EPERM, ALLOW),
    "clone": When(0, _NEW_PROCESS_OF_OTHERS, EPERM, ALLOW),
}
"""What becomes of each call that is not simply allowed."""


def assemble(machine: Machine, rules: dict[str, int | When]) -> bytes:
    """The filter as an array of struct sock_filter. Calls that the machine lacks are left out."""
    code = [(_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, machine.audit_arch), (_RETURN, 0, 0, NOTIFY), (_LOAD, 0, 0, _NUMBER)]
    if machine.foreign_bit:
        code += [(_ANY_BIT, 0, 1, machine.foreign_bit), (_RETURN, 0, 0, NOTIFY)]
    for name, rule in rules.items():
        if name not in machine.calls:
            continue
        if isinstance(rule, When):
            answer = [
                (_LOAD, 0, 0, _ARGUMENTS + 8 * rule.argument),
                (_ANY_BIT, 0, 1, rule.mask),
                (_RETURN, 0, 0, rule.then),
                (_RETURN, 0, 0, rule.otherwise),
            ]
        else:
            answer = [(_RETURN, 0, 0, rule)]
        code += [(_EQUAL, 0, len(answer), machine.calls[name]), *answer]
    code.append((_RETURN, 0, 0, ALLOW))
    return b"".join(_INSTRUCTION.pack(*instruction) for instruction in code)
