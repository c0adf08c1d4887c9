"""Tries to get out of a tree in which it runs as root; prints what it was told by each attempt, as JSON.

    python3 escape.py HOST_FILE HOST_PID PORT
"""

import ctypes
import errno
import json
import os
import platform
import signal
import socket
import sys

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = libc.ptrace.restype = ctypes.c_long
X86 = platform.machine() == "x86_64"
NR = {"setns": 308, "seccomp": 317, "ptrace": 101} if X86 else {"setns": 268, "seccomp": 277, "ptrace": 117}
PIDFD_OPEN, PIDFD_GETFD, CLONE3, IO_URING_SETUP, OPEN_TREE, MOUNT_SETATTR = 434, 438, 435, 425, 428, 442
NEW_USER, NEW_MOUNTS, NEW_NETWORK = 0x10000000, 0x20000, 0x40000000
MS_REMOUNT, MS_BIND = 32, 4096


def told(call, *arguments):  # type: ignore[no-untyped-def]
    """The name of the error, or "done"."""
    ctypes.set_errno(0)
    try:
        result = call(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return errno.errorcode[ctypes.get_errno()] if isinstance(result, int) and result < 0 else "done"


def area(buffer):  # type: ignore[no-untyped-def]
    """A struct iovec."""
    return (ctypes.c_ulong * 2)(ctypes.addressof(buffer), len(buffer))


def leave_by_two_chroots() -> list[str]:
    """The classic: a working directory above one's root, from which `..` leads on. In a child."""
    reading, writing = os.pipe()
    if not os.fork():
        os.mkdir("/jail")
        above = os.open("/", os.O_RDONLY)
        os.chroot("/jail")
        os.fchdir(above)
        for _ in range(64):
            os.chdir("..")
        os.chroot(".")
        os.write(writing, json.dumps(sorted(os.listdir("/"))).encode())
        os._exit(0)
    os.wait()
    os.rmdir("/jail")
    return json.loads(os.read(reading, 4096))  # type: ignore[no-any-return]


def main(host_file: str, host_pid: int, port: int) -> None:
    found: dict[str, object] = {"descriptors": sorted(int(name) for name in os.listdir("/proc/self/fd"))}
    found["chroots"] = leave_by_two_chroots()
    found["processes"] = sorted(int(name) for name in os.listdir("/proc") if name.isdigit())
    found["interfaces"] = sorted(name for _, name in socket.if_nameindex())
    tries = {
        "host file": lambda: os.open(host_file, os.O_RDONLY),
        "host file by dots": lambda: os.open("/.." * 40 + host_file, os.O_RDONLY),
        "host file by process 1": lambda: os.open("/proc/1/root" + host_file, os.O_RDONLY),
        "root of process 1": lambda: os.open("/proc/1/root", os.O_RDONLY),
        "descriptors of process 1": lambda: os.listdir("/proc/1/fd"),
        "memory of process 1": lambda: os.open("/proc/1/mem", os.O_RDWR),
        "environment of process 1": lambda: os.open("/proc/1/environ", os.O_RDONLY),
        "ptrace of process 1": lambda: libc.ptrace(16, 1, 0, 0),
        "seize of process 1": lambda: libc.ptrace(0x4206, 1, 0, 0),
        "read memory of process 1": lambda: libc.process_vm_readv(1, area(BUFFER), 1, area(BUFFER), 1, 0),
        "descriptor of process 1": lambda: libc.syscall(PIDFD_GETFD, libc.syscall(PIDFD_OPEN, 1, 0), 3, 0),
        "write to a bind": lambda: os.open("/usr/escaped", os.O_CREAT | os.O_WRONLY),
        "chmod in a bind": lambda: os.chmod("/usr/bin/env", 0o4755),
        "remount of a bind": lambda: libc.mount(b"none", b"/usr", None, MS_REMOUNT | MS_BIND, None),
        "unmount of a bind": lambda: libc.umount2(b"/usr", 2),
        "mount of proc": lambda: libc.mount(b"proc", b"/tmp", b"proc", 0, None),
        "bind of the root": lambda: libc.mount(b"/", b"/tmp", None, MS_BIND, None),
        "open_tree": lambda: libc.syscall(OPEN_TREE, -100, b"/usr", 1),
        "mount_setattr": lambda: libc.syscall(MOUNT_SETATTR, -100, b"/usr", 0, (ctypes.c_ulong * 4)(0, 1, 0, 0), 32),
        "new user namespace": lambda: libc.unshare(NEW_USER),
        "new mount namespace": lambda: libc.unshare(NEW_MOUNTS),
        "new network": lambda: libc.unshare(NEW_NETWORK),
        "namespace of process 1": lambda: os.open("/proc/1/ns/mnt", os.O_RDONLY),
        "setns": lambda: libc.syscall(NR["setns"], os.open("/proc/self/ns/mnt", os.O_RDONLY), 0),
        "clone3": lambda: libc.syscall(CLONE3, None, 0),
        "io_uring": lambda: libc.syscall(IO_URING_SETUP, 1, ctypes.create_string_buffer(120)),
        "a second listener": lambda: libc.syscall(NR["seccomp"], 1, 8, (ctypes.c_ulong * 2)(1, ctypes.addressof(ALLOW_ALL))),
        "kill of a host's process": lambda: os.kill(host_pid, signal.SIGKILL),
        "connect to the host": lambda: socket.create_connection(("127.0.0.1", port), 5),
        "connect to the world": lambda: socket.create_connection(("192.0.2.1", 80), 5),
        "abstract socket of the host": lambda: socket.socket(socket.AF_UNIX).connect(f"\0escape-{port}"),
        "sysctl": lambda: os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY),
        "sysrq": lambda: os.open("/proc/sysrq-trigger", os.O_WRONLY),
        "reboot": lambda: libc.reboot(0x1234567),
        "kernel memory": lambda: os.open("/proc/kcore", os.O_RDONLY),
        "raw socket to the host": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).sendto(b"x" * 8, ("192.0.2.1", 0)),
    }
    found["told"] = {name: told(attempt) for name, attempt in tries.items()}
    for number in range(1, 65):  # none of them may end or stop the supervisor
        try:
            os.kill(1, number)
        except OSError as error:
            found.setdefault("signals", []).append(error.errno)  # type: ignore[attr-defined]
    os.mknod("/sda", 0o60666, os.makedev(8, 0))
    with open("/sda", "r+b") as device:
        found["device"] = device.write(b"text") and os.stat("/sda").st_rdev
    found["alive"] = os.getuid()
    print(json.dumps(found))


BUFFER = ctypes.create_string_buffer(8)
ALLOW_ALL = (ctypes.c_ulong * 1)(0x7FFF000000000006)

if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
