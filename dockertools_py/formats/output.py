"""Writing to a file descriptor: buffers, and ranges of files without a copy through this process."""

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from dockertools_py.errors import DockertoolsError
from dockertools_py.pack.layer import BlobSource
from dockertools_py.pack.verified import Buffer

_COPY_SIZE = 64 << 20
PIPE_SIZE = 1 << 20
"""A chunk of a layer in one go: with the usual 64 KiB writer and reader take turns 16 times, at a third of the speed."""

_TRY_ANOTHER_WAY = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EBADF, errno.EOPNOTSUPP, errno.ENOTSOCK}


class Sink(Protocol):
    """Whatever takes the bytes of an archive, one after the other."""

    def write(self, data: Buffer) -> object:
        """Take all of `data`."""

    def copy(self, source: BlobSource) -> None:
        """Take a stored blob."""


class Output:
    """An open file, pipe or socket that bytes are written to, one after the other."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        mode = os.fstat(fd).st_mode
        self._is_file = stat.S_ISREG(mode)
        if stat.S_ISFIFO(mode):
            with suppress(OSError):  # more than an unprivileged user may have
                fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, PIPE_SIZE)

    def write(self, data: Buffer) -> None:
        """Write all of `data`."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]

    def copy(self, source: BlobSource) -> None:
        """Write a stored blob, by the kernel alone where it can. Raises DockertoolsError when the file is too short."""
        with open(source.file, "rb", buffering=0) as file:
            offset, left = source.offset, source.size
            while left:
                copied = self._copy_some(file.fileno(), offset, min(left, _COPY_SIZE))
                if not copied:
                    raise DockertoolsError(f"{source.file}: ends {left} bytes before the end of the blob in it")
                offset, left = offset + copied, left - copied

    def _copy_some(self, fd: int, offset: int, count: int) -> int:
        if self._is_file:
            try:
                return os.copy_file_range(fd, self._fd, count, offset)
            except OSError as error:
                if error.errno not in _TRY_ANOTHER_WAY:
                    raise
                self._is_file = False
        try:
            return os.sendfile(self._fd, fd, offset, count)
        except OSError as error:
            if error.errno not in _TRY_ANOTHER_WAY:
                raise
        data = os.pread(fd, min(count, 1 << 20), offset)
        self.write(data)
        return len(data)


@contextmanager
def new_file(path: Path, *, in_place: bool = False) -> Iterator[Output]:
    """A file that is there with all its bytes or not at all: written beside `path`, then renamed.

    `in_place`: written to `path` itself, as in a Nix build, where Nix throws away what a failed build leaves.
    """
    # Neither the process id, which is 1 in every container, nor the name, which may be as long as names can be.
    temporary = path if in_place else path.with_name(f".dockertools-py.{os.urandom(8).hex()}.tmp")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        try:
            yield Output(fd)
        finally:
            os.close(fd)
        if not in_place:
            temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
