"""Runs a program as root of a tree, without being root: the one entrance of this folder.

    caller     the builder, as the build user. Waits, and gets the exit code and the table through a pipe
      └ outer  has made the namespaces, and only waits: whoever makes a pid namespace is not in it himself
          └ 1  the supervisor, in the namespaces: mounts, starts the script, answers its calls, ends what is left
              └ 2  the script

Each dies with the one above (PR_SET_PDEATHSIG), and with process 1 all others, so that killing a build leaves nothing.
stdout and stderr are the caller's own, so they come in the order in which they were written; stdin is empty.
"""

import errno
import marshal
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model.entry import Kind
from dockertools_py.root import kernel, uid_range
from dockertools_py.root.filter import RULES, assemble
from dockertools_py.root.machine import MACHINES, Machine, this_machine
from dockertools_py.root.namespaces import TMP, TMP_MODE, OwnRoot, become_root, isolate, make_read_only_but
from dockertools_py.root.probe import explain
from dockertools_py.root.supervisor import Supervisor
from dockertools_py.root.table import FileId, Recorded, Table, file_id

_ENDED, _FAILED, _FORBIDDEN = range(3)
_UMASK = 0o022
_CANNOT_EXECUTE = 127


def run(
    command: Sequence[str],
    *,
    top: Path,
    environment: Mapping[str, str],
    table: Table,
    cwd: str = "/",
    binds: Iterable[str | Path] = (),
    chroot: bool = True,
    writable: Iterable[str | Path] = (),
    real_ids: bool = False,
) -> int:
    """Run `command` as root of the tree `top`, and all that it starts; the exit code, 128 + n when signal n ended it.

    What it does to owners, modes, devices and capabilities goes to `table`, which says what they are to begin with.
    `binds` are paths that it sees where they are, read-only. With `chroot=False`, `/` is the caller's, and all of it
    read-only but `top`, $TMPDIR and `writable`: what fakeroot gives, for scripts that start in the tree (`cwd`).
    With `real_ids`, whoever calls is root of a range of ids already (uid_range.py), and so is the command: nothing of it is
    noted, all of it is on disk.
    Raises DockertoolsError where no user namespaces can be had, or when there is no such command.
    """
    machine = this_machine()
    if machine is None:
        raise DockertoolsError(
            f"scripts as root: this machine is {os.uname().machine}, and system calls are known of "
            f"{' and '.join(MACHINES)}; use perms, users and groups, which need no script"
        )
    if "TMPDIR" in environment:
        writable = (*writable, environment["TMPDIR"])
    job = _Job(
        command=command,
        environment=environment,
        cwd=os.fsencode(cwd),
        top=os.fsencode(os.path.realpath(top)),
        binds=[os.fsencode(path) for path in binds],
        writable=[os.fsencode(path) for path in writable],
        chroot=chroot,
        table=table,
        machine=machine,
        real_ids=real_ids,
    )
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    reading, writing = os.pipe()
    outer = os.fork()
    if not outer:
        os.close(reading)
        _never_return(lambda: job.run_outside(writing))
    os.close(writing)
    try:
        with open(reading, "rb") as pipe:
            said = pipe.read()
    except BaseException:
        os.kill(outer, signal.SIGKILL)
        raise
    finally:
        os.waitpid(outer, 0)
    return _result(said, command, table)


def _result(said: bytes, command: Sequence[str], table: Table) -> int:
    if not said:
        raise RuntimeError("the supervisor ended without a word; see above")
    what, detail, records = marshal.loads(said)
    if what == _FORBIDDEN:
        raise DockertoolsError(explain(*detail))
    if what == _FAILED:
        raise DockertoolsError(detail)
    table.clear()
    for key, (uid, gid, mode, kind, device, xattrs) in records:
        table[FileId(*key)] = Recorded(uid, gid, mode, Kind(kind), device, xattrs)
    return int(detail)


def _never_return(work: Callable[[], None]) -> NoReturn:
    """In a child: nothing of the caller's may run a second time, neither `finally` nor what is left in buffers."""
    try:
        work()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(1)


@dataclass(slots=True)
class _Job:
    """All that is to be done, on its way through the processes."""

    command: Sequence[str]
    environment: Mapping[str, str]
    cwd: bytes
    top: bytes
    binds: list[bytes]
    writable: list[bytes]
    chroot: bool
    table: Table
    machine: Machine
    real_ids: bool

    def run_outside(self, pipe: int) -> None:
        """Make the namespaces, and wait for the supervisor, which is their process 1."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        kernel.end_with_parent(signal.SIGKILL)
        try:
            if self.real_ids:
                kernel.unshare(kernel.NEW_OTHERS)
            else:
                become_root()
            supervisor = os.fork()
        except OSError as error:
            _say(pipe, _FORBIDDEN, ("unshare", error.errno))
            return
        if not supervisor:
            _never_return(lambda: self._supervise(pipe))
        os.close(pipe)
        os.waitpid(supervisor, 0)

    def _supervise(self, pipe: int) -> None:
        kernel.end_with_parent(signal.SIGKILL)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        os.umask(0)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        try:
            isolate()
        except PermissionError as error:
            _say(pipe, _FORBIDDEN, ("mount", error.errno))
            return
        try:
            code = self._run_inside()
        except DockertoolsError as error:
            _say(pipe, _FAILED, str(error))
            return
        records = [(tuple(key), (*record[:3], record.kind.value, *record[4:])) for key, record in self.table.items()]
        _say(pipe, _ENDED, code, records)

    def _run_inside(self) -> int:
        if not self.chroot:
            make_read_only_but([self.top, *self.writable])
            return self._run_script()
        root = OwnRoot(self.top, self.binds, self.machine)
        is_wanted = self._watch_tmp() if root.made_tmp else lambda: False
        try:
            return self._run_script()
        finally:
            root.leave(keep_tmp=is_wanted())

    def _watch_tmp(self) -> Callable[[], bool]:
        """From now on; afterwards tells whether anybody has set its owner or mode, be it to the same."""
        if self.real_ids:
            return uid_range.Watch(TMP).has_seen
        tmp, seen = file_id(TMP), Recorded(0, 0, TMP_MODE, Kind.DIRECTORY)
        self.table[tmp] = seen

        def is_replaced() -> bool:
            if self.table.get(tmp) is not seen:
                return True
            del self.table[tmp]
            return False

        return is_replaced

    def _run_script(self) -> int:
        ours, theirs = socket.socketpair()
        child = os.fork()
        if not child:
            ours.close()
            _never_return(lambda: self._become_script(theirs))
        theirs.close()
        kernel.hide_memory()  # not before: the child is a copy, and has to be traced
        code = self._wait(child, ours) if self.real_ids else self._supervise_script(child, ours)
        refused = ours.recv(64)
        if refused:
            number = int(refused)
            raise DockertoolsError(
                f"{shown(self.command[0])}: cannot be run in the tree: {os.strerror(number)}"
                + (" (or its interpreter is missing)" if number == errno.ENOENT else "")
            )
        return code

    def _wait(self, child: int, script: socket.socket) -> int:
        script.send(b"go")
        return uid_range.wait(child)

    def _supervise_script(self, child: int, script: socket.socket) -> int:
        kernel.ptrace(kernel.PTRACE_SEIZE, child, 0, kernel.PTRACE_FOLLOW_AND_KILL)
        script.send(b"go")
        _, (listener,), _, _ = socket.recv_fds(script, 64, 1)
        supervisor = Supervisor(self.machine, self.table)
        code = supervisor.serve(listener, child)
        self.table = supervisor.table()
        return code

    def _become_script(self, supervisor: socket.socket) -> None:
        os.setsid()
        os.chdir(self.cwd)
        os.umask(_UMASK)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, set())
        kernel.close_on_exec(3)
        supervisor.recv(2)
        if self.real_ids:
            uid_range.drop_capabilities()
        else:
            listener = kernel.install_filter(assemble(self.machine, RULES), self.machine)
            socket.send_fds(supervisor, [b"."], [listener])
            os.close(listener)
        try:
            os.execvpe(self.command[0], list(self.command), self.environment)
        except OSError as error:
            supervisor.send(str(error.errno).encode())
            os._exit(_CANNOT_EXECUTE)


def _say(pipe: int, what: int, detail: Any, records: Any = ()) -> None:
    """What `_result` reads: of marshal's types only."""
    data = memoryview(marshal.dumps((what, detail, records)))
    while data:
        data = data[os.write(pipe, data) :]
