"""System call numbers, registers and struct stat of each machine: data only, so that the logic is the same everywhere.

x86_64 has all calls that Linux ever had; aarch64 (the generic table of Linux) only those with `at`, and never had `chown`,
`stat` or `mknod`. So a name that a machine lacks is simply not in its table, and no program can call it there. Numbers from
424 on are the same on all machines. Sources: asm/unistd_64.h, asm-generic/unistd.h, asm/ptrace.h, asm/stat.h, elf-em.h.
"""

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Registers:
    """Which 64-bit words of NT_PRSTATUS (ptrace(2), PTRACE_GETREGSET) hold a system call."""

    words: int
    number: int
    arguments: tuple[int, int, int, int, int, int]
    result: int
    restart: int | None
    """The word that must be -1 lest the kernel start the call again; None where there is no such."""


@dataclass(frozen=True, slots=True)
class Stat:
    """The places of the fields in struct stat. Mode, uid and gid have 32 bits, the others 64."""

    length: int
    mode: int
    uid: int
    gid: int
    device: int
    size: int
    blocks: int


@dataclass(frozen=True, slots=True)
class Machine:
    """What the kernel of a machine calls things."""

    name: str
    audit_arch: int
    """AUDIT_ARCH_… of linux/audit.h, as seccomp tells it."""
    calls: dict[str, int]
    registers: Registers
    stat: Stat
    foreign_bit: int = 0
    """Set in the numbers of calls that come from programs of a second, 32-bit interface (x32)."""


_NEWER = {
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428, "move_mount": 429,
    "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "clone3": 435, "openat2": 437, "mount_setattr": 442,
    "fchmodat2": 452, "setxattrat": 463, "getxattrat": 464, "listxattrat": 465, "removexattrat": 466, "open_tree_attr": 467,
}  # fmt: skip

X86_64 = Machine(
    "x86_64",
    0xC000003E,
    {
        "open": 2, "stat": 4, "fstat": 5, "lstat": 6, "clone": 56, "execve": 59, "mkdir": 83, "creat": 85,
        "symlink": 88, "chmod": 90, "fchmod": 91, "chown": 92, "fchown": 93, "lchown": 94, "ptrace": 101, "getuid": 102,
        "getgid": 104, "setuid": 105, "setgid": 106, "geteuid": 107, "getegid": 108, "setreuid": 113, "setregid": 114,
        "getgroups": 115, "setgroups": 116, "setresuid": 117, "getresuid": 118, "setresgid": 119, "getresgid": 120,
        "setfsuid": 122, "setfsgid": 123, "capget": 125, "capset": 126, "mknod": 133, "pivot_root": 155, "prctl": 157,
        "chroot": 161, "mount": 165, "umount2": 166, "reboot": 169, "setxattr": 188, "lsetxattr": 189, "fsetxattr": 190,
        "getxattr": 191, "lgetxattr": 192, "fgetxattr": 193, "listxattr": 194, "llistxattr": 195, "flistxattr": 196,
        "removexattr": 197, "lremovexattr": 198, "fremovexattr": 199, "openat": 257, "mkdirat": 258, "mknodat": 259,
        "fchownat": 260, "newfstatat": 262, "symlinkat": 266, "fchmodat": 268, "unshare": 272, "setns": 308,
        "seccomp": 317, "execveat": 322, "statx": 332,
        **_NEWER,
    },
    Registers(words=27, number=15, arguments=(14, 13, 12, 7, 9, 8), result=10, restart=15),
    Stat(length=144, mode=24, uid=28, gid=32, device=40, size=48, blocks=64),
    foreign_bit=0x40000000,
)  # fmt: skip

AARCH64 = Machine(
    "aarch64",
    0xC00000B7,
    {
        "setxattr": 5, "lsetxattr": 6, "fsetxattr": 7, "getxattr": 8, "lgetxattr": 9, "fgetxattr": 10, "listxattr": 11,
        "llistxattr": 12, "flistxattr": 13, "removexattr": 14, "lremovexattr": 15, "fremovexattr": 16, "mknodat": 33,
        "mkdirat": 34, "symlinkat": 36, "umount2": 39, "mount": 40, "pivot_root": 41, "chroot": 51, "fchmod": 52,
        "fchmodat": 53, "fchownat": 54, "fchown": 55, "openat": 56, "newfstatat": 79, "fstat": 80, "capget": 90,
        "capset": 91, "unshare": 97, "ptrace": 117, "reboot": 142, "setregid": 143, "setgid": 144, "setreuid": 145,
        "setuid": 146, "setresuid": 147, "getresuid": 148, "setresgid": 149, "getresgid": 150, "setfsuid": 151,
        "setfsgid": 152, "getgroups": 158, "setgroups": 159, "prctl": 167, "getuid": 174, "geteuid": 175, "getgid": 176,
        "getegid": 177, "clone": 220, "execve": 221, "setns": 268, "seccomp": 277, "execveat": 281, "statx": 291,
        **_NEWER,
    },
    # x0 to x30, sp, pc, pstate; the number is in x8, the first argument and the result in x0
    Registers(words=34, number=8, arguments=(0, 1, 2, 3, 4, 5), result=0, restart=None),
    Stat(length=128, mode=16, uid=24, gid=28, device=32, size=48, blocks=64),
)  # fmt: skip

MACHINES = {machine.name: machine for machine in (X86_64, AARCH64)}


def this_machine() -> Machine | None:
    """The machine that we run on; None when we have no table for it."""
    return MACHINES.get(os.uname().machine)
