"""The bytes of a blob that is sent: to be read from anywhere, and again, whatever happened to the connection."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.pack.verified import Buffer

READ_SIZE = 512 << 10


class Content(Protocol):
    """Bytes of a blob; they may still be in the making."""

    def size(self) -> int | None:
        """In bytes; None as long as nobody knows."""

    def available(self, wanted: int) -> int:
        """How many bytes there are: waited for until there are `wanted`, or all."""

    def chunks(self, begin: int, end: int | None) -> Iterator[Buffer]:
        """The bytes from `begin` to `end`, or to the last one, waited for where there are not so many yet."""


@dataclass(frozen=True, slots=True)
class Bytes:
    """A small blob at hand."""

    data: bytes

    def size(self) -> int:
        """See Content."""
        return len(self.data)

    def available(self, wanted: int) -> int:
        """See Content."""
        return len(self.data)

    def chunks(self, begin: int, end: int | None) -> Iterator[Buffer]:
        """See Content."""
        yield self.data[begin:end]


@dataclass(frozen=True, slots=True)
class FileRange:
    """A blob that is stored: `length` bytes from `offset` of `file`."""

    file: str
    offset: int
    length: int

    def size(self) -> int:
        """See Content."""
        return self.length

    def available(self, wanted: int) -> int:
        """See Content."""
        return self.length

    def chunks(self, begin: int, end: int | None) -> Iterator[Buffer]:
        """See Content. Raises DockertoolsError when the file ends too early."""
        left = (self.length if end is None else end) - begin
        with open(self.file, "rb", buffering=0) as file:
            file.seek(self.offset + begin)
            while left:
                data = file.read(min(READ_SIZE, left))
                if not data:
                    raise DockertoolsError(f"{shown(self.file)}: ends {left} bytes before the end of the blob in it")
                left -= len(data)
                yield data


def read_at(fd: int, begin: int, end: int) -> Iterator[bytes]:
    """The bytes from `begin` to `end` of an open file, of which the place is left alone."""
    while begin < end:
        data = os.pread(fd, min(READ_SIZE, end - begin), begin)
        if not data:
            raise DockertoolsError(f"a temporary file ends {end - begin} bytes too early: is the disk full?")
        begin += len(data)
        yield data
