"""Bytes that are hashed and checked while they pass: nobody can use a stream to its end and forget to compare its digest."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from queue import SimpleQueue
from threading import Semaphore, Thread

from dockertools_py.errors import DockertoolsError
from dockertools_py.model.digest import Digest

Buffer = bytes | memoryview

CHUNKS_IN_HAND = 2
"""So many chunks may be waiting to be hashed: whoever makes chunks leaves the last two as they are (store.tar_stream)."""


class Hasher:
    """Hashes chunks in a thread of its own, while the next ones are read: OpenSSL needs no Python for it.

    With one of the `threads` alone it hashes at once, what is quicker where other processes have the other cores.
    """

    def __init__(self, algorithm: str = "sha256", threads: int = 2) -> None:
        self.size = 0
        self._is_beside = threads > 1
        self._algorithm, self._hash = algorithm, hashlib.new(algorithm)
        self._waiting: SimpleQueue[Buffer | None] = SimpleQueue()
        self._free = Semaphore(CHUNKS_IN_HAND)
        self._thread: Thread | None = None

    def update(self, chunk: Buffer) -> None:
        """Hash `chunk`, which must stay as it is for the next CHUNKS_IN_HAND calls."""
        self.size += len(chunk)
        if not self._is_beside:
            self._hash.update(chunk)
            return
        if self._thread is None:
            thread = Thread(target=self._run, daemon=True)
            thread.start()
            self._thread = thread  # only now: one that an interrupt kept from starting cannot be joined
        self._free.acquire()
        self._waiting.put(chunk)

    def digest(self) -> Digest:
        """Of all chunks; none may follow."""
        self.stop()
        return Digest(self._algorithm, self._hash.hexdigest())

    def stop(self) -> None:
        """End the thread, when all chunks were hashed; also where nobody wants the digest any more."""
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while (chunk := self._waiting.get()) is not None:
            self._hash.update(chunk)
            self._free.release()


def verified(chunks: Iterable[Buffer], digest: Digest, size: int, what: str, threads: int = 2) -> Iterator[Buffer]:
    """`chunks` as they are; raises DockertoolsError at their end when size or digest differ, with `what` in front.

    More than `size` bytes are refused as soon as they come.
    """
    hasher = Hasher(digest.algorithm, threads)
    try:
        for chunk in chunks:
            hasher.update(chunk)
            if hasher.size > size:
                raise DockertoolsError(f"{what}: more than the {size} bytes expected")
            yield chunk
    finally:
        hasher.stop()
    if hasher.size != size:
        raise DockertoolsError(f"{what}: {hasher.size} bytes, but {size} were expected")
    if (found := hasher.digest()) != digest:
        raise DockertoolsError(f"{what}: {found}, but {digest} was expected")


def written(chunks: Iterable[Buffer], write: Callable[[Buffer], object]) -> Iterator[Buffer]:
    """`chunks` as they are, each written before it is passed on."""
    for chunk in chunks:
        write(chunk)
        yield chunk


def measure(chunks: Iterable[Buffer], algorithm: str = "sha256", threads: int = 2) -> tuple[Digest, int]:
    """The digest and the size of `chunks`, which are used up."""
    hasher = Hasher(algorithm, threads)
    try:
        for chunk in chunks:
            hasher.update(chunk)
    finally:
        hasher.stop()
    return hasher.digest(), hasher.size
