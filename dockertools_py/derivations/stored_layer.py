"""A layer whose tar is kept, since no source can make it again; and the notes that go with it."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from dockertools_py.formats.output import new_file
from dockertools_py.model.entry import Entry
from dockertools_py.pack.flat import Member, member_name
from dockertools_py.pack.layer import BlobSource, Layer
from dockertools_py.pack.verified import Buffer, measure, written

_STORE = b"nix/store/"


def write_layer(file: Path, chunks: Iterable[Buffer], store_paths: Iterable[str], created_by: str) -> Layer:
    """Write a tar to `file`; the layer that it is."""
    with new_file(file, in_place=True) as out:
        digest, size = measure(written(chunks, out.write))
    return Layer(digest, size, BlobSource(str(file), 0, size, digest), tuple(sorted(store_paths)), created_by)


def places(members: Iterable[Member]) -> Iterator[Entry]:
    """The entries outside the store, for `write_places`. Hard links as the files that they are: one may lead into the store."""
    for entry, node in members:
        if not entry.name.startswith(_STORE) or entry.name == _STORE:
            yield node.entry._replace(name=member_name(entry.name.rstrip(b"/"), node))
