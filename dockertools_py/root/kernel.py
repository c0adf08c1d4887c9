"""The calls of Linux that Python has no function for, each as one that raises OSError: see its section 2 page."""

import ctypes
import fcntl
import os
import struct

from dockertools_py.root.machine import Machine

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
libc.ptrace.restype = ctypes.c_long
libc.process_vm_readv.restype = ctypes.c_ssize_t
libc.process_vm_writev.restype = ctypes.c_ssize_t

AT_FDCWD, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH = -100, 0x100, 0x1000
PATH_MAX = 4096

NEW_USER, NEW_OTHERS = 0x10000000, 0x6E020000
"""CLONE_NEWUSER; and NEWNS, NEWPID, NEWNET, NEWUTS, NEWIPC and NEWCGROUP."""

MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 8, 4096, 16384, 1 << 18
_MNT_DETACH = 2
_MOUNT_ATTR_RDONLY, _AT_RECURSIVE = 1, 0x8000
_OPEN_TREE_CLONE, _MOVE_MOUNT_F_EMPTY_PATH, _CLOSE_RANGE_CLOEXEC = 1, 4, 4
# The same on all machines, and without functions in the C library of Debian 12
_NR_OPEN_TREE, _NR_MOVE_MOUNT, _NR_CLOSE_RANGE, _NR_MOUNT_SETATTR = 428, 429, 436, 442

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_PR_CAPBSET_READ, _PR_CAPBSET_DROP = 23, 24
_SECCOMP_SET_MODE_FILTER = 1
_NEW_LISTENER, _WAIT_KILLABLE = 1 << 3, 1 << 5

_SECCOMP_RECEIVE, _SECCOMP_SEND = 0xC0502100, 0xC0182101
_SECCOMP_ADD_FD, _SECCOMP_SET_FLAGS = 0x40182103, 0x40082104
_SYNC_WAKE_UP = 1
_ADD_FD_AND_ANSWER = 2
CONTINUE = 1
"""The flag of an answer to a notification which says that the call shall happen."""

PTRACE_SEIZE, PTRACE_CONT, PTRACE_LISTEN, PTRACE_GETEVENTMSG, PTRACE_GETSIGINFO = 0x4206, 7, 0x4208, 0x4201, 0x4202
_PTRACE_GETREGSET, _PTRACE_SETREGSET = 0x4204, 0x4205
_NT_PRSTATUS = 1
PTRACE_FOLLOW_AND_KILL = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 20
"""PTRACE_O_TRACEFORK, TRACEVFORK, TRACECLONE, and EXITKILL."""
PTRACE_EVENT_STOP = 128

STATX_SIZE = 256


def checked(result: int, *about: object) -> int:
    """`result` of a function of the C library, or its errno as OSError."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), *about)
    return result


def unshare(flags: int) -> None:
    """New namespaces for this process."""
    checked(libc.unshare(ctypes.c_int(flags)))


def mount(source: bytes, target: bytes, kind: bytes | None, flags: int, data: bytes | None = None) -> None:
    """mount(2)."""
    checked(libc.mount(source, target, kind, ctypes.c_ulong(flags), data), target)


def make_read_only(target: bytes | int) -> None:
    """A mount (its path, or its descriptor from `clone_mount`) and all below it; Linux 5.12."""
    attributes = struct.pack("=4Q", _MOUNT_ATTR_RDONLY, 0, 0, 0)
    directory, path = (target, b"") if isinstance(target, int) else (AT_FDCWD, target)
    flags = _AT_RECURSIVE | (0 if path else AT_EMPTY_PATH)
    checked(
        libc.syscall(_NR_MOUNT_SETATTR, directory, path, flags, attributes, ctypes.c_size_t(len(attributes))), target
    )


def clone_mount(path: bytes, *, with_mounts_below: bool = True) -> int:
    """A copy of what is mounted at `path` (and below), attached nowhere yet: a descriptor; Linux 5.2."""
    flags = _OPEN_TREE_CLONE | os.O_CLOEXEC | (_AT_RECURSIVE if with_mounts_below else 0)
    return checked(libc.syscall(_NR_OPEN_TREE, AT_FDCWD, path, flags), path)


def attach_mount(mount_descriptor: int, target: bytes) -> None:
    """Put such a copy somewhere."""
    checked(libc.syscall(_NR_MOVE_MOUNT, mount_descriptor, b"", AT_FDCWD, target, _MOVE_MOUNT_F_EMPTY_PATH), target)


def unmount(path: bytes) -> None:
    """Take away the mount at `path` and all below it."""
    checked(libc.umount2(path, _MNT_DETACH), path)


def close_on_exec(first: int) -> None:
    """No descriptor from `first` on shall survive an exec."""
    checked(libc.syscall(_NR_CLOSE_RANGE, ctypes.c_uint(first), ctypes.c_uint(0xFFFFFFFF), _CLOSE_RANGE_CLOEXEC))


def enter_root(top: bytes, machine: Machine) -> None:
    """Make the mount at `top` the root of this mount namespace, and let go of the one before."""
    os.chdir(top)
    checked(libc.syscall(machine.calls["pivot_root"], b".", b"."), top)
    unmount(b".")
    os.chdir("/")


def end_with_parent(signal_number: int) -> None:
    """This process shall get the signal when its parent ends."""
    checked(libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal_number), 0, 0, 0))


def hide_memory() -> None:
    """Nobody in this namespace may look into this process from now on, by ptrace or in /proc."""
    checked(libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0))


def has_capability(number: int) -> bool | None:
    """Whether what this process starts may have a capability; None for a number beyond the last one."""
    found = libc.prctl(_PR_CAPBSET_READ, ctypes.c_ulong(number), 0, 0, 0)
    return None if found < 0 else bool(found)


def drop_capability(number: int) -> None:
    """What this process starts shall not have it."""
    checked(libc.prctl(_PR_CAPBSET_DROP, ctypes.c_ulong(number), 0, 0, 0))


def install_filter(code: bytes, machine: Machine) -> int:
    """Put this process and all that come from it under a filter; the descriptor to read its notifications from."""
    checked(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("=H6xQ", len(code) // 8, ctypes.addressof(buffer))
    number = machine.calls["seccomp"]
    listener = libc.syscall(number, _SECCOMP_SET_MODE_FILTER, _NEW_LISTENER | _WAIT_KILLABLE, program)
    if listener < 0:  # before Linux 5.19 a signal may interrupt a call that waits for its answer
        listener = libc.syscall(number, _SECCOMP_SET_MODE_FILTER, _NEW_LISTENER, program)
    return checked(listener)


class Listener:
    """The supervisor's end of a filter: reads calls that wait, and answers them."""

    _NOTIFICATION = struct.Struct("=QIIiIQ6Q")
    _ANSWER = struct.Struct("=QqiI")

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._empty = bytes(self._NOTIFICATION.size)
        self._notification = bytearray(self._NOTIFICATION.size)
        self._answer = bytearray(self._ANSWER.size)
        try:  # Linux 6.6: the two processes take turns on one processor, which is 2 to 3 times as fast
            fcntl.ioctl(descriptor, _SECCOMP_SET_FLAGS, _SYNC_WAKE_UP)
        except OSError:
            return

    def receive(self) -> tuple[int, int, int, int, list[int]]:
        """Of a call that waits: id, process (thread), number, AUDIT_ARCH, arguments. OSError ENOENT: it is gone."""
        self._notification[:] = self._empty
        fcntl.ioctl(self.descriptor, _SECCOMP_RECEIVE, self._notification)
        number, pid, _, call, arch, _, *arguments = self._NOTIFICATION.unpack(self._notification)
        return number, pid, call, arch, arguments

    def answer(self, number: int, value: int, error: int, flags: int) -> None:
        """End a call. OSError ENOENT: its process is gone."""
        self._ANSWER.pack_into(self._answer, 0, number, value, error, flags)
        fcntl.ioctl(self.descriptor, _SECCOMP_SEND, self._answer)

    def answer_with_descriptor(self, number: int, descriptor: int, flags: int) -> None:
        """Give the process a copy of `descriptor`, and its number as the result of the call; Linux 5.14."""
        fcntl.ioctl(
            self.descriptor, _SECCOMP_ADD_FD, struct.pack("=QIIII", number, _ADD_FD_AND_ANSWER, descriptor, 0, flags)
        )


def ptrace(request: int, pid: int, address: int = 0, data: object = None) -> None:
    """ptrace(2). OSError ESRCH: the process is gone, or does not stand still."""
    checked(libc.ptrace(ctypes.c_long(request), pid, ctypes.c_void_p(address), data))


class _Area(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


def read_registers(pid: int, machine: Machine) -> list[int]:
    """The general registers of a process that stands still, as 64-bit words."""
    length = 8 * machine.registers.words
    buffer = ctypes.create_string_buffer(length)
    area = _Area(ctypes.addressof(buffer), length)
    ptrace(_PTRACE_GETREGSET, pid, _NT_PRSTATUS, ctypes.byref(area))
    return list(struct.unpack(f"={machine.registers.words}Q", buffer.raw))


def write_registers(pid: int, registers: list[int]) -> None:
    """Set them."""
    buffer = ctypes.create_string_buffer(struct.pack(f"={len(registers)}Q", *registers), 8 * len(registers))
    area = _Area(ctypes.addressof(buffer), 8 * len(registers))
    ptrace(_PTRACE_SETREGSET, pid, _NT_PRSTATUS, ctypes.byref(area))


class Memory:
    """The memory of other processes, by process_vm_readv(2). Buffers are kept: this is called for each path."""

    def __init__(self) -> None:
        self._buffer = ctypes.create_string_buffer(1 << 16)
        self._view = memoryview(self._buffer).cast("B")
        self._ours, self._theirs = _Area(ctypes.addressof(self._buffer), 0), _Area(0, 0)
        self._our_reference, self._their_reference = ctypes.byref(self._ours), ctypes.byref(self._theirs)

    def read(self, pid: int, address: int, length: int) -> bytes:
        """Up to `length` bytes (64 KiB at most): fewer where they reach into a page that is not there."""
        self._ours.length = self._theirs.length = length
        self._theirs.base = address
        got = libc.process_vm_readv(pid, self._our_reference, 1, self._their_reference, 1, 0)
        return bytes(self._view[: got if got >= 0 else checked(got)])

    def read_string(self, pid: int, address: int, limit: int = PATH_MAX) -> bytes:
        """A string up to its NUL. OSError ENAMETOOLONG when it has more than `limit` bytes, EFAULT for a bad address."""
        found = b""
        while len(found) < limit:
            at = address + len(found)
            found += self.read(pid, at, min(256, PATH_MAX - at % PATH_MAX))
            end = found.find(b"\0")
            if end >= 0:
                return found[:end]
        raise OSError(36, os.strerror(36))

    def write(self, pid: int, address: int, data: bytes) -> None:
        """All of `data`, or OSError EFAULT."""
        self._view[: len(data)] = data
        self._ours.length = self._theirs.length = len(data)
        self._theirs.base = address
        got = libc.process_vm_writev(pid, self._our_reference, 1, self._their_reference, 1, 0)
        if checked(got) != len(data):
            raise OSError(14, os.strerror(14))


_status = ctypes.create_string_buffer(STATX_SIZE)


def statx(directory: int, path: bytes, flags: int, mask: int) -> bytes:
    """struct statx."""
    if libc.statx(directory, path, flags, mask, _status) < 0:
        checked(-1)
    return _status.raw


def fstatat(machine: Machine, path: bytes, flags: int) -> bytes:
    """struct stat, by a path without directory."""
    buffer = ctypes.create_string_buffer(machine.stat.length)
    checked(libc.syscall(machine.calls["newfstatat"], AT_FDCWD, path, buffer, flags))
    return buffer.raw


def touch_owner(descriptor: int) -> None:
    """chown(-1, -1): changes the ctime alone, and fails where one may not write (O_PATH descriptors too)."""
    checked(libc.fchownat(descriptor, b"", -1, -1, AT_EMPTY_PATH))
