"""Who each process believes to be: uids and gids that were set, and are nowhere but here.

In truth every process of a script is 0:0 of a namespace that has no other id. `su`, `setpriv`, dpkg and daemons want to be
somebody else, and look whether they are. So the supervisor keeps the ids of all that are not root, by the rules of
kernel/sys.c, hands them on to their children, and answers getuid and its kin. What such a process creates belongs to whom it
claims to be (creation.py), and it may chown and chmod no more than that one; otherwise it may do all that root may.
"""

import errno
import os
import struct
from typing import NamedTuple

from dockertools_py.root.capabilities import SETGID, SETUID, Capabilities

UNCHANGED = 0xFFFFFFFF
_MAX_GROUPS = 65536


class Ids(NamedTuple):
    """Real, effective, saved and file system id, of users or of groups."""

    real: int = 0
    effective: int = 0
    saved: int = 0
    files: int = 0

    def set(self, new: int, *, privileged: bool) -> "Ids":
        """setuid, setgid. Raises OSError EPERM."""
        if privileged:
            return Ids(new, new, new, new)
        _permit(new in (self.real, self.saved))
        return self._replace(effective=new, files=new)

    def set_both(self, real: int, effective: int, *, privileged: bool) -> "Ids":
        """setreuid, setregid; UNCHANGED keeps one."""
        _permit(privileged or real in (UNCHANGED, self.real, self.effective))
        _permit(privileged or effective in (UNCHANGED, self.real, self.effective, self.saved))
        new_real = self.real if real == UNCHANGED else real
        new = self.effective if effective == UNCHANGED else effective
        moves_saved = real != UNCHANGED or effective not in (UNCHANGED, self.real)
        return Ids(new_real, new, new if moves_saved else self.saved, new)

    def set_three(self, real: int, effective: int, saved: int, *, privileged: bool) -> "Ids":
        """setresuid, setresgid."""
        known = (UNCHANGED, *self[:3])
        _permit(privileged or all(new in known for new in (real, effective, saved)))
        # Where nothing is new (as of Linux 6.3), the file system id stays as it is too.
        same_effective = effective == UNCHANGED or effective == self.effective == self.files
        if same_effective and real in (UNCHANGED, self.real) and saved in (UNCHANGED, self.saved):
            return self
        real = self.real if real == UNCHANGED else real
        effective = self.effective if effective == UNCHANGED else effective
        return Ids(real, effective, self.saved if saved == UNCHANGED else saved, effective)

    def set_files(self, new: int, *, privileged: bool) -> "Ids":
        """setfsuid, setfsgid: nothing happens when it is not allowed."""
        return self._replace(files=new) if new != UNCHANGED and (privileged or new in self) else self

    def executed(self, owner: int | None) -> "Ids":
        """After an execve of a file that is set-id for `owner`, or is not."""
        new = self.effective if owner is None else owner
        return Ids(self.real, new, new, new)


class Identity(NamedTuple):
    """Who a process is."""

    user: Ids = Ids()
    group: Ids = Ids()
    groups: tuple[int, ...] = ()
    capabilities: Capabilities = Capabilities()

    def may(self, capability: int) -> bool:
        """Whether it has a capability."""
        return bool(self.capabilities.effective & capability)

    def is_in(self, group: int) -> bool:
        """Whether a group is one of its."""
        return group in self.groups or group == self.group.files


ROOT = Identity()


def _permit(allowed: bool) -> None:
    if not allowed:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))


def change(who: Identity, call: str, arguments: list[int]) -> tuple[Identity, int]:
    """Who a process is after one of the calls that set ids, and the result of the call. Raises OSError EPERM."""
    of_group = call.endswith("gid")
    ids = who.group if of_group else who.user
    first, second, third = (argument & UNCHANGED for argument in arguments[:3])
    result = 0
    privileged = who.may(SETGID if of_group else SETUID)
    if call in ("setuid", "setgid"):
        if first == UNCHANGED:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        new = ids.set(first, privileged=privileged)
    elif call in ("setreuid", "setregid"):
        new = ids.set_both(first, second, privileged=privileged)
    elif call in ("setresuid", "setresgid"):
        new = ids.set_three(first, second, third, privileged=privileged)
    else:
        result, new = ids.files, ids.set_files(first, privileged=privileged)
    if of_group:
        return who._replace(group=new), result
    if call == "setfsuid":
        return who._replace(user=new, capabilities=who.capabilities.after_file_id(ids.files, new.files)), result
    return who._replace(user=new, capabilities=who.capabilities.after_ids(ids, new)), result


def execute(who: Identity, uid: int | None, gid: int | None) -> Identity:
    """Who a process is after an execve of a file that is set-id for `uid` or `gid`."""
    user = who.user.executed(uid)
    return Identity(user, who.group.executed(gid), who.groups, who.capabilities.executed(user.real, user.effective))


def ask(who: Identity, call: str) -> int:
    """The result of getuid, geteuid, getgid, getegid."""
    ids = who.group if call.endswith("gid") else who.user
    return ids.effective if call.startswith("gete") else ids.real


def parse_groups(data: bytes) -> tuple[int, ...]:
    """Of setgroups, in the order in which the kernel gives them back."""
    return tuple(sorted(struct.unpack(f"={len(data) // 4}I", data)))


def check_group_count(who: Identity, count: int) -> None:
    """Raises OSError for a setgroups that is not allowed."""
    _permit(who.may(SETGID))
    if count > _MAX_GROUPS:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))


class Identities:
    """Who the processes are that are not root. All threads of a process are the same one here."""

    def __init__(self) -> None:
        self._known: dict[int, Identity] = {}
        self._processes: dict[int, int] = {}
        """Of threads that were asked for, the process that they are of: as long as they live, which we know."""
        self._born: set[int] = set()

    def of(self, thread: int) -> Identity:
        """Who a thread is."""
        return self._known.get(self._process(thread), ROOT) if self._known else ROOT

    def set(self, thread: int, who: Identity) -> None:
        """Somebody else, from now on."""
        process = self._process(thread)
        if who == ROOT:
            self._known.pop(process, None)
        else:
            self._known[process] = who

    def born(self, child: int, parent: int | None = None) -> None:
        """A child is as its parent is; a thread says nothing new. Told by its first stop and by its parent's, in any order."""
        if child in self._born:
            return
        if not self._known:
            if parent is None:  # the child stands still, so we shall hear of its end as well
                self._born.add(child)
            return
        try:
            process, its_parent = _ids_in_proc(child)
        except OSError:  # gone
            return
        self._born.add(child)
        if process == child:
            who = self._known.get(its_parent) or (self._known.get(self._process(parent)) if parent else None)
            if who is not None:
                self._known[child] = who

    def gone(self, thread: int) -> None:
        """It ended, and its number may come again."""
        self._known.pop(thread, None)
        self._processes.pop(thread, None)
        self._born.discard(thread)

    def _process(self, thread: int) -> int:
        process = self._processes.get(thread)
        if process is None:
            try:
                process = _ids_in_proc(thread)[0]
            except OSError:  # gone: it will never hear of our answer
                return thread
            self._processes[thread] = process
        return process


def _ids_in_proc(thread: int) -> tuple[int, int]:
    """The process of a thread, and the parent of that."""
    with open(f"/proc/{thread}/status", "rb") as status:
        lines = dict(line.split(b":", 1) for line in status.read().splitlines() if b":" in line)
    return int(lines[b"Tgid"]), int(lines[b"PPid"])
