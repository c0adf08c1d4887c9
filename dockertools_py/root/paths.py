"""What a process means by a path: the same file, found from the supervisor.

Supervisor and script are in the same namespaces and, as a rule, have the same root. So an absolute path means the same to
both, a relative one starts at /proc/PID/cwd or /proc/PID/fd/N, and `/proc/self` is a word for /proc/PID. Only a process that
has called chroot sees other paths: for such a one we go into its root for a moment, and come back by a descriptor.

A script may change a path between our look and the kernel's. It cannot gain by it: the supervisor sees nothing that the
script does not see, has no right that the script lacks, and is in the same namespaces, so whatever file it is led to is one
which the script could have named at once. Whatever changes a file pins it by a descriptor first, so that the file which is
changed is the file which is recorded.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from dockertools_py.root.kernel import AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, Memory
from dockertools_py.root.records import Pinned

_SELF = {
    b"/proc/self/": b"/proc/%d/",
    b"/proc/thread-self/": b"/proc/%d/",
    b"/dev/fd/": b"/proc/%d/fd/",
    b"/dev/stdin": b"/proc/%d/fd/0",
    b"/dev/stdout": b"/proc/%d/fd/1",
    b"/dev/stderr": b"/proc/%d/fd/2",
}


def signed(word: int) -> int:
    """A 32-bit argument, such as a descriptor or AT_FDCWD, of a 64-bit word."""
    word &= 0xFFFFFFFF
    return word - (1 << 32) if word & 1 << 31 else word


class Paths:
    """Finds what processes name."""

    def __init__(self) -> None:
        self.memory = Memory()
        self.someone_has_another_root = False
        """Whether to look for the root of each process; until a first chroot, it is ours."""
        self._root = os.open("/", os.O_PATH | os.O_DIRECTORY)

    def read(self, pid: int, address: int) -> bytes:
        """The path at an address of a process; a null pointer is an empty path. Raises OSError."""
        return self.memory.read_string(pid, address) if address else b""

    def has_our_root(self, pid: int) -> bool:
        """Whether a path of this process means the same to us."""
        return not self.someone_has_another_root or os.readlink(f"/proc/{pid}/root") == "/"

    @contextmanager
    def seen_from(self, pid: int, directory: int, path: bytes) -> Iterator[bytes]:
        """Within the block, what is yielded leads to what the process means by `path`."""
        if self.has_our_root(pid):
            yield from_here(pid, directory, path)
            return
        start = f"/proc/{pid}/cwd" if directory == AT_FDCWD else f"/proc/{pid}/fd/{directory}"
        root = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY)
        try:
            if path[:1] != b"/":
                os.chdir(start)
                here = os.open(".", os.O_PATH | os.O_DIRECTORY)
            else:
                here = os.dup(root)
            os.fchdir(root)
            os.chroot(".")
            os.fchdir(here)
            os.close(here)
            yield path
        finally:
            os.fchdir(self._root)
            os.chroot(".")
            os.close(root)

    def pin(self, pid: int, directory: int, path: bytes, flags: int) -> Pinned:
        """Hold the file that a process names by directory, path and AT_ flags; for use with `with`. Raises OSError."""
        if not path:
            if not flags & AT_EMPTY_PATH:
                raise FileNotFoundError(2, os.strerror(2))
            return self.pin_descriptor(pid, directory)
        how = os.O_PATH | os.O_CLOEXEC | (os.O_NOFOLLOW if flags & AT_SYMLINK_NOFOLLOW else 0)
        if not self.someone_has_another_root:  # without the cost of a context manager
            return Pinned(os.open(from_here(pid, directory, path), how))
        with self.seen_from(pid, directory, path) as found:
            return Pinned(os.open(found, how))

    def pin_at(self, pid: int, directory: int, address: int, flags: int = 0) -> Pinned:
        """The same, with the words of a system call."""
        return self.pin(pid, signed(directory), self.read(pid, address), flags)

    def pin_descriptor(self, pid: int, descriptor: int) -> Pinned:
        """Hold the file that is open in a process as `descriptor`, or AT_FDCWD. Raises OSError EBADF."""
        try:
            return Pinned(os.open(of_descriptor(pid, descriptor), os.O_PATH | os.O_CLOEXEC))
        except FileNotFoundError:
            raise OSError(9, os.strerror(9)) from None


def from_here(pid: int, directory: int, path: bytes) -> bytes:
    """The path by which we reach what a process with our root means."""
    if path[:1] != b"/":
        return b"%b/%b" % (of_descriptor(pid, directory), path)
    for name, ours in _SELF.items():
        if path.startswith(name) and (name.endswith(b"/") or path == name):
            return ours % pid + path[len(name) :]
    return path


def of_descriptor(pid: int, descriptor: int) -> bytes:
    """The path of a file that is open in a process, or of its working directory."""
    return b"/proc/%d/cwd" % pid if descriptor == AT_FDCWD else b"/proc/%d/fd/%d" % (pid, descriptor)
