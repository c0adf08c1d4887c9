"""The children that this process has: a test's worker may have some that other tests started, such as engines."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def children() -> set[int]:
    """Process ids, those that ended and were not waited for included."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_bytes().rpartition(b")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == os.getpid():
            found.add(int(folder.name))
    return found


@contextmanager
def no_child_is_left() -> Iterator[None]:
    """Fails when there are other children at the end than at the beginning."""
    before = children()
    yield
    assert children() - before == set()
