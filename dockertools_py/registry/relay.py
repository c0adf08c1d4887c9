"""A blob of one registry on its way to another: it is sent while it still comes."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Lock, Thread
from typing import IO

from dockertools_py.model.descriptor import Descriptor
from dockertools_py.pack.verified import Buffer
from dockertools_py.registry.puller import Puller
from dockertools_py.registry.spool import Spool


class Relay:
    """Fetches a blob when somebody wants it; see content.Content. Its digest is compared before its end is given away."""

    def __init__(self, puller: Puller, descriptor: Descriptor) -> None:
        self._puller, self._descriptor = puller, descriptor
        self._spool: Spool | None = None
        self._lock = Lock()

    def size(self) -> int:
        """See content.Content."""
        return self._descriptor.size

    def available(self, wanted: int) -> int:
        """See content.Content."""
        return self._fetched().available(wanted)

    def chunks(self, begin: int, end: int | None) -> Iterator[Buffer]:
        """See content.Content."""
        return self._fetched().chunks(begin, self._descriptor.size if end is None else end)

    def save(self, path: Path, moved: Callable[[int], None]) -> None:
        """Fetch it into a file instead, which is not there yet."""
        with path.open("xb", buffering=0) as file:
            self._puller.blob(self._descriptor, _Counting(file, moved))

    def _fetched(self) -> Spool:
        with self._lock:
            if self._spool is None:
                self._spool = Spool()
                Thread(target=self._fetch, args=(self._spool,), daemon=True).start()
            return self._spool

    def _fetch(self, spool: Spool) -> None:
        try:
            self._puller.blob(self._descriptor, _Growing(spool))
            spool.complete(self._descriptor.size, self._descriptor.digest)
        except BaseException as error:
            spool.fail(error)


class _Counting:
    """A file, and how many bytes it has."""

    def __init__(self, file: IO[bytes], moved: Callable[[int], None]) -> None:
        self._file, self._moved = file, moved

    def seek(self, position: int) -> None:
        self._file.seek(position)

    def truncate(self) -> None:
        self._file.truncate()

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]
        self._moved(self._file.tell())


class _Growing:
    """The file of a spool as a puller writes it. The last byte is withheld until the digest was compared."""

    def __init__(self, spool: Spool) -> None:
        self._spool, self._position = spool, 0

    def seek(self, position: int) -> None:
        self._position = position

    def truncate(self) -> None:
        """What a first mirror gave is overwritten."""

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            count = os.pwrite(self._spool.file.fileno(), view, self._position)
            view, self._position = view[count:], self._position + count
        self._spool.grown(max(0, self._position - 1))
