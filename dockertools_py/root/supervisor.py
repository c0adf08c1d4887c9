"""Answers the calls of a script's processes until the script ends: one loop, one thread, no state but what is said here.

The supervisor is process 1 of the script's namespaces, and its parent. Two things happen to it:

    a notification   A process waits in a call that the filter (filter.py) hands over. It is read, answered by the function
                     of that name, and the process goes on. Nobody else waits for that: others' calls queue in the kernel.
    SIGCHLD          A child ended, or stands still. As tracer of all processes (PTRACE_SEIZE with TRACEFORK, …CLONE) we see
                     each new one stop once, each signal before it is delivered, and each end.

    SIGSYS of our filter  a call that Nix forbids and we do not: answer it, put the result into its register, drop the signal
    any other signal      is delivered as it is
    a group stop          (SIGSTOP, ^Z) stays one: PTRACE_LISTEN
    anything else         the process goes on

Can it hang? A process that dies at any point leaves a call that nobody waits for (ENOENT when answered), or a stop that is
none any more (ESRCH): both are as if answered. There is nothing that we wait for but poll(2) on these two, and the fifo that
an open could block on is opened with O_NONBLOCK. A number of a process cannot come again while we answer it, since it is
free only after we, its tracer, have waited for it.

When the first child has ended, everything that is left gets SIGKILL, and is waited for. When the supervisor itself dies, the
kernel kills all others, as with any process 1.
"""

import ctypes
import errno
import os
import select
import signal
import struct
import sys

from dockertools_py.root import kernel
from dockertools_py.root.creation import Created, Creation
from dockertools_py.root.files import Answer, Files
from dockertools_py.root.filter import TRAP_MARK
from dockertools_py.root.identity import Identities
from dockertools_py.root.kernel import Listener, ptrace
from dockertools_py.root.machine import Machine
from dockertools_py.root.paths import Paths
from dockertools_py.root.processes import Processes, executable_of
from dockertools_py.root.records import Records
from dockertools_py.root.stats import Stats
from dockertools_py.root.table import Table
from dockertools_py.root.xattrs import Xattrs

_STOPS = (signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
_ALL_CHILDREN = 0x40000000  # __WALL of waitpid(2): threads too
_SYS_SECCOMP = 1
_SIGINFO_SIZE = 128
_EVENTS_OF_BIRTH = (1, 2, 3)  # PTRACE_EVENT_FORK, VFORK, CLONE
_WORD = (1 << 64) - 1


class Supervisor:
    """Serves the first child, which is traced and behind the filter, and all that come from it."""

    def __init__(self, machine: Machine, table: Table) -> None:
        self._machine = machine
        self._records, self._identities, self._paths = Records(table), Identities(), Paths()
        self._notification = 0
        creation = Creation(self._records, self._identities, self._paths, self._give)
        found: dict[str, Answer] = {
            **Files(self._records, self._identities, self._paths).answers(),
            **Stats(machine, self._records, self._paths).answers(),
            **Xattrs(self._records, self._identities, self._paths).answers(),
            **creation.answers(),
            **Processes(self._records, self._identities, self._paths).answers(),
        }
        self._answers = {machine.calls[name]: answer for name, answer in found.items() if name in machine.calls}
        self._told: set[str] = set()

    def serve(self, listener: int, child: int) -> int:
        """Until `child` ends and all others have been ended; the exit code of `child`, 128 + n for signal n."""
        self._listener = Listener(listener)
        self._child, self._status = child, -1
        signals = _signals_as_descriptor(signal.SIGCHLD)
        poll = select.poll()
        poll.register(listener, select.POLLIN)
        poll.register(signals, select.POLLIN)
        self._reap(os.WNOHANG)
        while self._status < 0:
            for ready, events in poll.poll():
                if ready == signals:
                    os.read(signals, _SIGINFO_SIZE)
                    self._reap(os.WNOHANG)
                elif events & select.POLLIN:
                    self._answer_one()
                else:  # all that were behind the filter are gone; their ends are still to be waited for
                    poll.unregister(listener)
        self._end_all()
        code = os.waitstatus_to_exitcode(self._status)
        return code if code >= 0 else 128 - code

    def table(self) -> Table:
        """What is recorded now."""
        return self._records.table()

    # --- calls

    def _answer_one(self) -> None:
        try:
            number, pid, call, arch, arguments = self._listener.receive()
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EINTR):
                return
            raise
        value = failure = flags = 0
        self._notification = number
        try:
            if arch != self._machine.audit_arch or call & self._machine.foreign_bit:
                self._refuse_foreign(pid)
                return
            answer = self._answers[call](pid, arguments)
            if answer is None:
                flags = kernel.CONTINUE
            else:
                value = answer
        except OSError as error:
            failure = -(error.errno or errno.EIO)
        except Created:
            return
        try:
            self._listener.answer(number, value, failure, flags)
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise

    def _give(self, descriptor: int, flags: int) -> None:
        self._listener.answer_with_descriptor(self._notification, descriptor, flags)

    def _refuse_foreign(self, pid: int) -> None:
        """End a program of another architecture, whose calls have other numbers, and say so."""
        program = executable_of(pid)
        if program not in self._told:
            self._told.add(program)
            print(
                f"{program}: a program for another machine than {self._machine.name} (32 bits?), ended: "
                "a script of an image can only run programs of the build machine's own kind",
                file=sys.stderr,
                flush=True,
            )
        os.kill(pid, signal.SIGKILL)

    # --- ends and stops

    def _reap(self, flags: int) -> bool:
        """Take note of all that ended or stopped; whether there still is anybody."""
        while True:
            try:
                pid, status = os.waitpid(-1, flags | _ALL_CHILDREN)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if os.WIFSTOPPED(status):
                try:
                    self._go_on(pid, os.WSTOPSIG(status), status >> 16)
                except ProcessLookupError:  # it was killed meanwhile: its end will be told
                    continue
            else:
                self._identities.gone(pid)
                if pid == self._child:
                    self._status = status

    def _go_on(self, pid: int, signal_number: int, event: int) -> None:
        if event == kernel.PTRACE_EVENT_STOP:
            if signal_number in _STOPS:
                ptrace(kernel.PTRACE_LISTEN, pid)
                return
            self._identities.born(pid)
        elif event in _EVENTS_OF_BIRTH:
            child = ctypes.c_ulong()
            ptrace(kernel.PTRACE_GETEVENTMSG, pid, 0, ctypes.byref(child))
            self._identities.born(child.value, pid)
        deliver = 0 if event else signal_number
        if deliver == signal.SIGSYS and self._answer_trapped(pid):
            deliver = 0
        ptrace(kernel.PTRACE_CONT, pid, 0, deliver)

    def _answer_trapped(self, pid: int) -> bool:
        """Answer a call that our filter answered with SIGSYS; false for a SIGSYS of somebody else's."""
        information = ctypes.create_string_buffer(_SIGINFO_SIZE)
        ptrace(kernel.PTRACE_GETSIGINFO, pid, 0, information)
        _, mark, code = struct.unpack_from("=iii", information)
        if code != _SYS_SECCOMP or mark != TRAP_MARK:
            return False
        layout = self._machine.registers
        registers = kernel.read_registers(pid, self._machine)
        try:
            answer = self._answers[registers[layout.number]](pid, [registers[word] for word in layout.arguments])
            result = -errno.ENOSYS if answer is None else answer
        except OSError as error:
            result = -(error.errno or errno.EIO)
        registers[layout.result] = result & _WORD
        if layout.restart is not None:
            registers[layout.restart] = _WORD
        kernel.write_registers(pid, registers)
        return True

    def _end_all(self) -> None:
        try:
            os.kill(-1, signal.SIGKILL)
        except ProcessLookupError:
            return
        while self._reap(0):
            pass


def _signals_as_descriptor(number: signal.Signals) -> int:
    """A signalfd of a signal that is blocked: reading it is not interrupted, and no handler runs in between."""
    mask = (1 << (number - 1)).to_bytes(128, sys.byteorder)
    flags = os.O_NONBLOCK | os.O_CLOEXEC
    return kernel.checked(kernel.libc.signalfd(-1, mask, flags))
