"""Writing to a file descriptor: buffers, and ranges of files without a copy through this process."""

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Protocol

from dockertools_py.errors import DockertoolsError
from dockertools_py.pack.layer import BlobSource
from dockertools_py.pack.verified import Buffer

_COPY_SIZE = 64 << 20
_PIECE_SIZE = 4 << 20
PAGE = 4096
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
        """Write a stored blob, by the kernel alone where that is fastest.

        Raises DockertoolsError when the file is too short.
        """
        with open(source.file, "rb", buffering=0) as file:
            offset, left = source.offset, source.size
            copy_some = self._way_to_copy(offset, left)
            while left:
                copied = copy_some(file.fileno(), offset, min(left, _COPY_SIZE))
                if not copied:
                    raise DockertoolsError(f"{source.file}: ends {left} bytes before the end of the blob in it")
                offset, left = offset + copied, left - copied

    def _way_to_copy(self, offset: int, size: int) -> Callable[[int, int, int], int]:
        """A function that writes some bytes of a file: of `fd`, from `offset`, at most `count`; it returns how many."""
        if not self._is_file:
            return self._send
        if (os.lseek(self._fd, 0, os.SEEK_CUR) - offset) % PAGE == 0:
            return self._copy_range
        # The kernel copies page by page, and here each page into two: 1.4 times the time of large pieces.
        return partial(self._copy_piece, memoryview(bytearray(min(size, _PIECE_SIZE))))

    def _copy_range(self, fd: int, offset: int, count: int) -> int:
        try:
            return os.copy_file_range(fd, self._fd, count, offset)
        except OSError as error:
            if error.errno not in _TRY_ANOTHER_WAY:
                raise
        return self._send(fd, offset, count)

    def _send(self, fd: int, offset: int, count: int) -> int:
        try:
            return os.sendfile(self._fd, fd, offset, count)
        except OSError as error:
            if error.errno not in _TRY_ANOTHER_WAY:
                raise
        return self._copy_piece(memoryview(bytearray(1 << 20)), fd, offset, count)

    def _copy_piece(self, buffer: memoryview, fd: int, offset: int, count: int) -> int:
        got = os.preadv(fd, [buffer[:count]], offset)
        self.write(buffer[:got])
        return got


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
