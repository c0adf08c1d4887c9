"""Root of a range of ids: what is other where Nix gives a build 65536 of them (its feature `uid-range`).

There the builder is uid 0 of a user namespace that Nix made, and owners on disk are real. So nobody supervises a script:
process 1 only waits for its end, and of what root of the namespace could do the script keeps what Docker gives root of a
container. Without CAP_SYS_ADMIN and CAP_SYS_PTRACE it can neither take the mounts away nor get at process 1.

What Nix's filter and the kernel refuse is refused here too: set-id bits, xattrs with capabilities among them, and devices.
Those of a base stay in the table while a script runs, which does not see them, and are put together with the disk afterwards.
"""

import os
import signal
import stat
import struct
from pathlib import Path

from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model.entry import Kind
from dockertools_py.pack.tree import Tree
from dockertools_py.root import kernel
from dockertools_py.root.records import without_privileges
from dockertools_py.root.table import Recorded, Table, file_id
from dockertools_py.root.tree import SET_ID, is_more

COUNT = 65536
NAME = "uid-range"
HINT = (
    f'With rootMode = "{NAME}" set-id bits, capabilities and other xattrs, devices, and ids from {COUNT} on are refused: '
    "if that is why, leave `rootMode` out"
)
KEPT = (0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31)
"""CAP_CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP, NET_BIND_SERVICE, NET_RAW, SYS_CHROOT, MKNOD,
AUDIT_WRITE and SETFCAP: the default of Docker."""
_ALL_IDS = 0xFFFFFFFF
_IN_ATTRIB = 0x4
_EVENT_SIZE, _MOST_EVENTS = 16, 1 << 16


def require(proc: Path = Path("/proc")) -> None:
    """Raise DockertoolsError unless we are uid 0 of such a range; to be the machine's own root is none."""
    for name in ("uid_map", "gid_map"):
        ranges = [tuple(map(int, line.split())) for line in (proc / "self" / name).read_text().splitlines()]
        count = sum(count for _, _, count in ranges)
        if os.getuid() or ranges[0][0] or not COUNT <= ranges[0][2] < _ALL_IDS:
            raise DockertoolsError(
                f'rootMode = "{NAME}": this builder has uid {os.getuid()} of {count} ids, and must have 0 of {COUNT} of its '
                "own: it needs Nix 2.12 or newer with `auto-allocate-uids = true` and `experimental-features = "
                "auto-allocate-uids cgroups` in its nix.conf; or leave `rootMode` out"
            )


def give(tree: Tree, top: Path, table: Table) -> None:
    """Give all of `tree`, as `unpack` made it below `top`, its owners and modes; `table` keeps what cannot be on disk.

    Raises DockertoolsError for an owner beyond the range.
    """
    root = os.fsencode(top)
    for name, node in [(b"", tree.top), *tree.nodes()]:
        entry = node.entry
        if not is_more(entry):
            continue
        if max(entry.owner) >= COUNT:
            raise DockertoolsError(
                f"/{shown(name)}: belongs to {entry.owner.uid}:{entry.owner.gid}, and there are no ids from {COUNT} on "
                f'with rootMode = "{NAME}": give it to others, or leave `rootMode` out'
            )
        path = root + b"/" + name if name else root
        os.lchown(path, *entry.owner)
        if entry.kind is not Kind.SYMLINK:
            os.chmod(path, entry.mode & ~SET_ID)
        if not (entry.mode & SET_ID or entry.xattrs or entry.kind in (Kind.CHARACTER, Kind.BLOCK)):
            table.pop(file_id(path), None)  # it may have another name, where it was done already


def told(status: os.stat_result, kind: Kind, known: Recorded | None) -> Recorded:
    """What a file is that has `status` on disk, of which `known` is in the table.

    To give it to another takes set-id bits and capabilities away, as ever.
    """
    found = Recorded(status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode), kind)
    if known is None:
        return found
    if (known.uid, known.gid) != (found.uid, found.gid):
        known = without_privileges(known)
    return known._replace(uid=found.uid, gid=found.gid, mode=found.mode | known.mode & SET_ID)


def drop_capabilities() -> None:
    """What this process becomes by execve shall have KEPT at the most, and so all that comes from it."""
    number = 0
    while (has := kernel.has_capability(number)) is not None:
        if has and number not in KEPT:
            kernel.drop_capability(number)
        number += 1


def wait(child: int) -> int:
    """As process 1: wait until `child` ends, and end all others; its exit code, 128 + n for signal n."""
    while (ended := os.wait())[0] != child:
        continue
    try:
        os.kill(-1, signal.SIGKILL)
        while True:
            os.wait()
    except (ProcessLookupError, ChildProcessError):
        code = os.waitstatus_to_exitcode(ended[1])
        return code if code >= 0 else 128 - code


class Watch:
    """Whether anybody sets owner or mode of a directory, be it to what they are: see inotify(7)."""

    def __init__(self, directory: bytes) -> None:
        self._events = kernel.checked(kernel.libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK))
        kernel.checked(kernel.libc.inotify_add_watch(self._events, directory, _IN_ATTRIB), directory)

    def has_seen(self) -> bool:
        """Until now; to be asked once."""
        try:
            while data := os.read(self._events, _MOST_EVENTS):
                while data:
                    mask, length = struct.unpack_from("=4xI4xI", data)
                    if mask & _IN_ATTRIB and not length:  # those of what is in it have a name
                        return True
                    data = data[_EVENT_SIZE + length :]
        except BlockingIOError:
            pass
        finally:
            os.close(self._events)
        return False
