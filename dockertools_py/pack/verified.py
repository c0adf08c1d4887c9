"""Bytes that are checked while they pass: nobody can use a stream to its end and forget to compare its digest."""

import hashlib
from collections.abc import Iterable, Iterator

from dockertools_py.errors import DockertoolsError
from dockertools_py.model.digest import Digest

Buffer = bytes | memoryview


def verified(chunks: Iterable[Buffer], digest: Digest, size: int, what: str) -> Iterator[Buffer]:
    """`chunks` as they are; raises DockertoolsError at their end when size or digest differ, with `what` in front.

    More than `size` bytes are refused as soon as they come.
    """
    hasher, seen = hashlib.new(digest.algorithm), 0
    for chunk in chunks:
        seen += len(chunk)
        if seen > size:
            raise DockertoolsError(f"{what}: more than the {size} bytes expected")
        hasher.update(chunk)
        yield chunk
    if seen != size:
        raise DockertoolsError(f"{what}: {seen} bytes, but {size} were expected")
    if hasher.hexdigest() != digest.hex:
        raise DockertoolsError(f"{what}: {digest.algorithm}:{hasher.hexdigest()}, but {digest} was expected")


def measure(chunks: Iterable[Buffer]) -> tuple[Digest, int]:
    """The digest and the size of `chunks`, which are used up."""
    hasher, size = hashlib.sha256(), 0
    for chunk in chunks:
        hasher.update(chunk)
        size += len(chunk)
    return Digest("sha256", hasher.hexdigest()), size
