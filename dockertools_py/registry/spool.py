"""Blobs in the making: processes write them into files, and whoever sends them follows as the files grow.

The problem. A layer's tar and its compression want all cores, hence processes; sending wants a thread for each connection,
which waits most of the time. A slow network must not stop the compressor, and a connection that drops must be able to go
on in the middle of a blob that nobody has in memory.

The rule. Each blob has a file without a name, which is gone when the last process that has it open ends, even by SIGKILL.
A worker takes the number of the next blob from a pipe that all share (a read of 4 bytes is one blob for one of them),
writes the file, and tells through a pipe of its own how far it is and, at the end, what the digest is.
"""

import errno
import hashlib
import json
import os
import pickle
import signal
import struct
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Condition, Thread
from typing import IO

from dockertools_py.errors import DockertoolsError
from dockertools_py.model.digest import Digest
from dockertools_py.pack.verified import Buffer
from dockertools_py.registry.content import read_at

_TOLD = 1 << 20
"""Bytes after which a worker says how far it is."""
_NUMBER = struct.Struct("<I")
_NO_MORE = b"null\n"

Make = Callable[[], Iterable[Buffer]]


class Spool:
    """A blob that is being written to a file; see content.Content."""

    def __init__(self) -> None:
        self.file: IO[bytes] = tempfile.TemporaryFile(prefix="dockertools-py.", buffering=0)  # noqa: SIM115
        self._changed = Condition()
        self._written = 0
        self._digest: Digest | None = None
        self._failure: BaseException | None = None

    def grown(self, size: int) -> None:
        """There are so many bytes now."""
        with self._changed:
            self._written = size
            self._changed.notify_all()

    def complete(self, size: int, digest: Digest) -> None:
        """No more bytes will come."""
        with self._changed:
            self._written, self._digest = size, digest
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """It will never be complete: whoever waits for it raises `error`."""
        with self._changed:
            self._failure = self._failure or error
            self._changed.notify_all()

    def is_open(self) -> bool:
        """Whether more may come."""
        return self._digest is None and self._failure is None

    def size(self) -> int | None:
        """See content.Content."""
        return self._written if self._digest else None

    def available(self, wanted: int) -> int:
        """See content.Content."""
        with self._changed:
            while self._written < wanted and not self._digest:
                if self._failure:
                    raise self._failure
                self._changed.wait()
            return self._written

    def chunks(self, begin: int, end: int | None) -> Iterator[Buffer]:
        """See content.Content."""
        while end is None or begin < end:
            there = self.available(begin + 1)
            upto = there if end is None else min(there, end)
            if upto <= begin:
                return
            yield from read_at(self.file.fileno(), begin, upto)
            begin = upto

    def digest(self) -> Digest:
        """Of all bytes, which are waited for."""
        with self._changed:
            while self._digest is None:
                if self._failure:
                    raise self._failure
                self._changed.wait()
            return self._digest


@dataclass(frozen=True, slots=True)
class _Worker:
    pid: int
    pipe: IO[bytes]


@contextmanager
def spooled(makers: Sequence[Make], workers: int) -> Iterator[list[Spool]]:
    """A spool for each of `makers`, which up to `workers` processes run in order; they are ended with the context.

    Nothing else may run in other threads meanwhile that holds a lock: it forks.
    """
    spools = [Spool() for _ in makers]
    numbers, fill = os.pipe()
    os.write(fill, b"".join(_NUMBER.pack(number) for number in range(len(makers))))
    os.close(fill)
    running: list[_Worker] = []
    threads: list[Thread] = []
    try:
        for _ in range(min(workers, len(makers))):
            running.append(_start(makers, spools, numbers, running))
        for worker in running:
            thread = Thread(target=_listen, args=(worker, spools), daemon=True)
            thread.start()
            threads.append(thread)  # only now: one that an interrupt kept from starting cannot be joined
        yield spools
    finally:
        os.close(numbers)
        for worker in running:
            with suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGKILL)
            os.waitpid(worker.pid, 0)
        for thread in threads:
            thread.join()
        for worker in running:
            worker.pipe.close()


def _listen(worker: _Worker, spools: Sequence[Spool]) -> None:
    """What a worker says, until it ends. It is waited for elsewhere, so that its id stays its own."""
    for line in worker.pipe:
        if line == _NO_MORE:
            return
        number, size, digest, failure = json.loads(line)
        spool = spools[number]
        if failure:
            spool.fail(pickle.loads(bytes.fromhex(failure)))  # our own child's exception
        elif digest:
            spool.complete(size, Digest("sha256", digest))
        else:
            spool.grown(size)
    for spool in spools:  # what it had begun, and what nobody may be left to begin
        if spool.is_open():
            spool.fail(RuntimeError("a process that made a layer has ended early"))


def _start(makers: Sequence[Make], spools: Sequence[Spool], numbers: int, others: Iterable[_Worker]) -> _Worker:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return _Worker(pid, os.fdopen(reading, "rb"))
    try:
        os.close(reading)
        for other in others:  # or a worker whose parent is gone would have a reader still
            os.close(other.pipe.fileno())
        with os.fdopen(writing, "wb", buffering=0) as pipe:
            while packed := os.read(numbers, _NUMBER.size):
                (number,) = _NUMBER.unpack(packed)
                pipe.write(json.dumps([number, 0, None, None]).encode() + b"\n")
                pipe.write(json.dumps(_made(number, makers[number], spools[number].file, pipe)).encode() + b"\n")
            pipe.write(_NO_MORE)
    finally:
        os._exit(0)


def _made(number: int, make: Make, file: IO[bytes], pipe: IO[bytes]) -> list[object]:
    """The last word on a blob: its number, size, digest, or its failure."""
    hasher, size, told = hashlib.sha256(), 0, 0
    try:
        for data in make():
            hasher.update(data)
            view = memoryview(data)
            while view:
                view = view[file.write(view) :]
            size += len(data)
            if size - told >= _TOLD:
                told = size
                pipe.write(json.dumps([number, size, None, None]).encode() + b"\n")
        return [number, size, hasher.hexdigest(), None]
    except DockertoolsError as error:
        failure: BaseException = error
    except OSError as error:
        # What has no name is the file that is written.
        is_full = error.filename is None and error.errno in (errno.ENOSPC, errno.EDQUOT)
        failure = OSError(error.errno, error.strerror, tempfile.gettempdir() if is_full else error.filename)
    except BaseException:  # a bug: the parent could not show where it is
        failure = RuntimeError(traceback.format_exc())
    return [number, size, None, pickle.dumps(failure).hex()]
