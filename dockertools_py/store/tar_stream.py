"""Entries become the bytes of a layer tar: the hot loop of the whole program.

Headers, small files and their padding are put one after the other in a large buffer, each file read with a single
`readv` straight to its place; the consumer gets the buffer when it is full. So there is a system call or two and no copy
per file, and the consumer hashes or writes 1 MiB at a time.
"""

import os
from collections.abc import Iterable, Iterator
from itertools import cycle

from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model.entry import Entry, Kind
from dockertools_py.pack.tar import BLOCK, END, header, padding

BUFFER_SIZE = 1 << 20
BUFFERS = 3
"""A consumer may still use the two views before the newest one: it hashes in another thread while we read."""

_READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


def tar_stream(entries: Iterable[Entry]) -> Iterator[memoryview]:
    """The tar of `entries`, which are in order and have their parents.

    A view is valid until BUFFERS - 1 further ones were drawn. Raises DockertoolsError when a file is not as large as
    its entry says.
    """
    ring = cycle([memoryview(bytearray(BUFFER_SIZE)) for _ in range(BUFFERS)])
    buffer, at = next(ring), 0
    for entry in entries:
        head = header(entry)
        size = entry.size if entry.kind is Kind.FILE else 0
        if at and at + len(head) + size + BLOCK > BUFFER_SIZE:  # BLOCK: padding, and a byte to see that the file ends
            yield buffer[:at]
            buffer, at = next(ring), 0
        buffer[at : at + len(head)] = head
        at += len(head)
        if not size:
            continue
        if entry.data:
            yield buffer[:at]
            yield memoryview(entry.data)
            buffer, at = next(ring), padding(size)
            buffer[:at] = bytes(at)
            continue
        end = at + size
        fd = os.open(entry.path, _READ_FLAGS)  # no context manager: a fifth of the time of a small file
        try:
            if end + BLOCK <= BUFFER_SIZE:
                if os.readv(fd, (buffer[at : end + 1],)) != size:
                    raise _changed(entry)
                at = end
            else:
                left = size
                while left:
                    if at == BUFFER_SIZE:
                        yield buffer
                        buffer, at = next(ring), 0
                    got = os.readv(fd, (buffer[at : at + left],))
                    if not got:
                        raise _changed(entry)
                    at, left = at + got, left - got
                if os.read(fd, 1):
                    raise _changed(entry)
                if at + BLOCK > BUFFER_SIZE:
                    yield buffer[:at]
                    buffer, at = next(ring), 0
        finally:
            os.close(fd)
        zeros = padding(size)
        buffer[at : at + zeros] = bytes(zeros)
        at += zeros
    if at:
        yield buffer[:at]
    yield memoryview(END)


def _changed(entry: Entry) -> DockertoolsError:
    return DockertoolsError(
        f"{shown(entry.path)}: its size is not the {entry.size} bytes that it had: is it being written?"
    )
