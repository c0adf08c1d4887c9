"""A root of its own for a script: namespaces in which the build user is root, and nothing but the tree is in sight.

    user     one id: the build user is 0, with all capabilities over what is his, and over nothing else
    mount    `/` is the tree; below it are the store (read-only), a new /proc, a /dev of a few harmless devices
    pid      the script and its children, and us as process 1; the host's processes do not exist
    network  a loopback, and nothing behind it
    others   host name, System V IPC, cgroups

No mount is made through a path of the tree before the tree is the root: a base image may have a link at /dev that leads
anywhere, and then it leads anywhere in the tree. So what is needed of the old root is first copied (open_tree(2)), attached
nowhere; then comes pivot_root; then the copies are attached, at paths which cannot leave the tree any more.

Directories for mounts that the tree lacks are made, and removed afterwards. `/tmp` is no mount: it is made if it is missing,
what a script leaves in it is removed, and it goes too, unless the script has set its owner or mode, which says that it belongs
to the image.
"""

import fcntl
import os
import resource
import shutil
import socket
import stat
import struct
from collections.abc import Iterable
from contextlib import suppress

from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.root import kernel
from dockertools_py.root.machine import Machine

HOST_NAME = "localhost"
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_LINKS = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2", "ptmx": "pts/ptmx"}
_DEVPTS = b"newinstance,ptmxmode=0666,mode=620"
TMP = b"/tmp"
TMP_MODE = 0o1777
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1


def become_root() -> None:
    """New namespaces in which this process is 0:0; its children are in the new pid namespace. Raises OSError."""
    uid, gid = os.getuid(), os.getgid()
    kernel.unshare(kernel.NEW_USER | kernel.NEW_OTHERS)
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def isolate() -> None:
    """As process 1 of them: a new /proc, mounts that nobody else sees, a host name and a loopback."""
    kernel.mount(b"none", b"/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount(b"proc", b"/proc", b"proc", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)
    socket.sethostname(HOST_NAME)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = bytearray(struct.pack("=16sH22x", b"lo", 0))  # struct ifreq of netdevice(7)
        fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request)
        (flags,) = struct.unpack_from("=H", request, 16)
        struct.pack_into("=H", request, 16, flags | _IFF_UP)
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, request)


class OwnRoot:
    """The tree as `/`, with what a script expects there."""

    def __init__(self, top: bytes, binds: Iterable[bytes], machine: Machine) -> None:
        """Enter it. Raises DockertoolsError when the tree has something that is in the way."""
        self._made: list[tuple[bytes, bool]] = []
        self._machine = machine
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # a store may be mounted path by path
        copies = [(path, os.path.isdir(path), kernel.clone_mount(path)) for path in binds]
        for _, _, copy in copies:
            kernel.make_read_only(copy)
        proc = kernel.clone_mount(b"/proc")
        devices = {
            name: kernel.clone_mount(os.fsencode(f"/dev/{name}")) for name in DEVICES if os.path.exists(f"/dev/{name}")
        }
        kernel.mount(top, top, None, kernel.MS_BIND | kernel.MS_REC)
        kernel.enter_root(top, machine)
        self._attach(proc, b"/proc", is_directory=True)
        self._make_dev(devices)
        for path, is_directory, copy in copies:
            self._attach(copy, path, is_directory=is_directory)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        self.made_tmp = not os.path.lexists(TMP)
        if self.made_tmp:
            os.mkdir(TMP)
            os.chmod(TMP, TMP_MODE)
        self._in_tmp = set(os.listdir(TMP)) if os.path.isdir(TMP) else None

    def leave(self, *, keep_tmp: bool) -> None:
        """Take away all that is not the tree's. The script and all its processes have ended."""
        # All mounts go at once, with the root that they are in: each by itself would cost some milliseconds.
        bare = kernel.clone_mount(b"/", with_mounts_below=False)
        kernel.attach_mount(bare, b"/proc")
        os.close(bare)
        kernel.enter_root(b"/proc", self._machine)
        for path, is_directory in reversed(self._made):
            with suppress(OSError):  # the script has put something there, or has removed it
                if is_directory:
                    os.rmdir(path)
                elif not os.path.getsize(path):
                    os.unlink(path)
        if self._in_tmp is not None and stat.S_ISDIR(os.lstat(TMP).st_mode if os.path.lexists(TMP) else 0):
            for name in set(os.listdir(TMP)) - self._in_tmp:
                _remove(os.path.join(TMP, name))
            if self.made_tmp and not keep_tmp:
                os.rmdir(TMP)

    def _attach(self, copy: int, target: bytes, *, is_directory: bool) -> None:
        self._make_place(target, is_directory=is_directory)
        kernel.attach_mount(copy, target)
        os.close(copy)

    def _make_place(self, target: bytes, *, is_directory: bool) -> None:
        path = b""
        parts = target.strip(b"/").split(b"/")
        for number, part in enumerate(parts, 1):
            path += b"/" + part
            wants_directory = number < len(parts) or is_directory
            if not os.path.lexists(path):
                if wants_directory:
                    os.mkdir(path, 0o755)
                else:
                    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))
                self._made.append((path, wants_directory))
            elif os.path.isdir(path) != wants_directory:
                what = "a directory" if wants_directory else "a file"
                raise DockertoolsError(
                    f"{shown(path)}: the image has something else than {what} there, which scripts need; "
                    "remove it, or build without scripts"
                )

    def _make_dev(self, devices: dict[str, int]) -> None:
        self._make_place(b"/dev", is_directory=True)
        kernel.mount(b"dev", b"/dev", b"tmpfs", kernel.MS_NOSUID | kernel.MS_NOEXEC, b"mode=755")
        for name, copy in devices.items():
            os.close(os.open(f"/dev/{name}", os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
            kernel.attach_mount(copy, os.fsencode(f"/dev/{name}"))
            os.close(copy)
        os.mkdir("/dev/shm")
        os.chmod("/dev/shm", TMP_MODE)
        os.mkdir("/dev/pts")
        kernel.mount(b"devpts", b"/dev/pts", b"devpts", kernel.MS_NOSUID | kernel.MS_NOEXEC, _DEVPTS)
        for name, target in _LINKS.items():
            os.symlink(target, f"/dev/{name}")


def make_read_only_but(writable: Iterable[bytes]) -> None:
    """Keep the root, where nothing but `writable` can be written to (and /dev and /proc, as far as they are harmless)."""
    paths: list[bytes] = []
    for path in sorted(os.path.realpath(path) for path in writable):
        if not any(path == above or path.startswith(above.rstrip(b"/") + b"/") for above in paths):
            paths.append(path)
    copies = [(path, kernel.clone_mount(path)) for path in (*paths, b"/proc", b"/dev") if os.path.isdir(path)]
    kernel.make_read_only(b"/")
    for path, copy in copies:
        kernel.attach_mount(copy, path)
        os.close(copy)


def _remove(path: bytes) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        os.unlink(path)
