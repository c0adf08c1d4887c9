"""What calls tell of a process itself: who it is, what it executes, which root it has."""

import errno
import os
import struct

from dockertools_py.model.entry import Kind
from dockertools_py.root.capabilities import ALL, SYS_CHROOT, Capabilities
from dockertools_py.root.files import Answer, Arguments, fail
from dockertools_py.root.identity import ROOT, Identities, ask, change, check_group_count, execute, parse_groups
from dockertools_py.root.kernel import AT_FDCWD
from dockertools_py.root.paths import Paths
from dockertools_py.root.records import S_ISGID, S_ISUID, S_IXGRP, Pinned, Records
from dockertools_py.root.table import Recorded

_PR_SET_KEEPCAPS = 8
_CAPABILITY_VERSION = 0x20080522  # _LINUX_CAPABILITY_VERSION_3, the one that is not deprecated
_ANYBODY_EXECUTES = 0o111
_ASKING = ("getuid", "geteuid", "getgid", "getegid")
_SETTING = ("setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setfsuid", "setfsgid")


class Processes:
    """Answers the calls about ids, execve and chroot."""

    def __init__(self, records: Records, identities: Identities, paths: Paths) -> None:
        self._records, self._identities, self._paths = records, identities, paths

    def answers(self) -> dict[str, Answer]:
        """By the name of the call."""

        def asking(call: str) -> Answer:
            return lambda pid, _: ask(self._identities.of(pid), call)

        def setting(call: str) -> Answer:
            return lambda pid, a: self._change(pid, call, a)

        return {
            **{call: asking(call) for call in _ASKING},
            **{call: setting(call) for call in _SETTING},
            "getresuid": lambda pid, a: self._tell_three(pid, self._identities.of(pid).user, a),
            "getresgid": lambda pid, a: self._tell_three(pid, self._identities.of(pid).group, a),
            "getgroups": self._get_groups,
            "setgroups": self._set_groups,
            "execve": lambda pid, a: self._execute(pid, AT_FDCWD, a[0], 0),
            "execveat": lambda pid, a: self._execute(pid, a[0], a[1], a[4]),
            "chroot": self._chroot,
            "prctl": self._prctl,
            "capget": self._get_capabilities,
            "capset": self._set_capabilities,
        }

    def _change(self, pid: int, call: str, a: Arguments) -> int:
        who, result = change(self._identities.of(pid), call, a)
        self._identities.set(pid, who)
        return result

    def _tell_three(self, pid: int, ids: tuple[int, ...], a: Arguments) -> int:
        for address, number in zip(a, ids[:3], strict=False):
            self._paths.memory.write(pid, address, struct.pack("=I", number))
        return 0

    def _get_groups(self, pid: int, a: Arguments) -> int:
        groups = self._identities.of(pid).groups
        size = a[0] & 0xFFFFFFFF
        if size:
            if size < len(groups) or size >> 31:
                raise fail(errno.EINVAL)
            if groups:
                self._paths.memory.write(pid, a[1], struct.pack(f"={len(groups)}I", *groups))
        return len(groups)

    def _set_groups(self, pid: int, a: Arguments) -> int:
        who, count = self._identities.of(pid), a[0] & 0xFFFFFFFF
        check_group_count(who, count)
        data = b""
        while len(data) < 4 * count:
            data += self._paths.memory.read(pid, a[1] + len(data), min(4096, 4 * count - len(data)))
        self._identities.set(pid, who._replace(groups=parse_groups(data)))
        return 0

    def _prctl(self, pid: int, a: Arguments) -> int | None:
        if a[0] & 0xFFFFFFFF != _PR_SET_KEEPCAPS:
            return None
        if a[1] > 1:
            raise fail(errno.EINVAL)
        who = self._identities.of(pid)
        self._identities.set(pid, who._replace(capabilities=who.capabilities._replace(kept=bool(a[1]))))
        return 0

    def _get_capabilities(self, pid: int, a: Arguments) -> int | None:
        version, of = self._capability_header(pid, a[0])
        if version != _CAPABILITY_VERSION or not a[1]:  # asks which version there is
            return None
        found = self._identities.of(of or pid).capabilities
        words = [number >> shift & 0xFFFFFFFF for shift in (0, 32) for number in found[:3]]
        self._paths.memory.write(pid, a[1], struct.pack("=6I", *words))
        return 0

    def _set_capabilities(self, pid: int, a: Arguments) -> int | None:
        version, of = self._capability_header(pid, a[0])
        if version != _CAPABILITY_VERSION or of not in (0, pid):
            return None
        words = struct.unpack("=6I", self._paths.memory.read(pid, a[1], 24))
        effective, permitted, inheritable = (words[n] | words[n + 3] << 32 for n in range(3))
        who = self._identities.of(pid)
        new = who.capabilities.set(Capabilities(effective & ALL, permitted & ALL, inheritable & ALL))
        self._identities.set(pid, who._replace(capabilities=new))
        return 0

    def _capability_header(self, pid: int, address: int) -> tuple[int, int]:
        version, of = struct.unpack("=Ii", self._paths.memory.read(pid, address, 8))
        return version, of

    def _execute(self, pid: int, directory: int, address: int, flags: int) -> None:
        """Take note of a set-id program. It is the kernel that starts it, as whom it is started already."""
        who = self._identities.of(pid)
        uid = gid = None
        if self._records.has_set_id_files:
            try:
                with self._paths.pin_at(pid, directory, address, flags) as file:
                    uid, gid = _set_ids(file, self._records.shown(file))
            except OSError:  # it will fail in the kernel too
                return
        elif who == ROOT:
            return
        self._identities.set(pid, execute(who, uid, gid))

    def _chroot(self, pid: int, a: Arguments) -> None:
        if not self._identities.of(pid).may(SYS_CHROOT):
            raise fail(errno.EPERM)
        self._paths.someone_has_another_root = True


def _set_ids(file: Pinned, recorded: Recorded) -> tuple[int | None, int | None]:
    """As which uid and gid a file starts, where it says so: not a script, whose interpreter is started."""
    if (
        recorded.kind is not Kind.FILE
        or not recorded.mode & (S_ISUID | S_ISGID)
        or not recorded.mode & _ANYBODY_EXECUTES
    ):
        return None, None
    with open(file.path, "rb", buffering=0) as program:
        if program.read(2) == b"#!":
            return None, None
    uid = recorded.uid if recorded.mode & S_ISUID else None
    gid = recorded.gid if recorded.mode & S_ISGID and recorded.mode & S_IXGRP else None
    return uid, gid


def executable_of(pid: int) -> str:
    """The program that a process runs, for a message."""
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return f"process {pid}"
