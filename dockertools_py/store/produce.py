"""A source becomes bytes: the one place that knows how each kind is read."""

import os
from collections.abc import Iterator

from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model.entry import Entry, Kind
from dockertools_py.model.media_type import compressor_of
from dockertools_py.pack.layer import BlobSource, Layer, PathsSource, RootSource, Source
from dockertools_py.pack.merge import merge
from dockertools_py.pack.tar import with_parents
from dockertools_py.pack.verified import Buffer, verified
from dockertools_py.store.tar_stream import BUFFER_SIZE, CACHED_SIZE, tar_stream
from dockertools_py.store.walk import EXECUTABLE, ROOT_MODES, STORE_MODES, link_tree, walk

NOT_FOR_IMAGES = b"nix-support/"
"""What a package tells the packages that are built with it; every package has it, and no container needs it."""

READ_SIZE = 1 << 20


def entries(source: PathsSource | RootSource) -> Iterator[Entry]:
    """What the layer holds, in order and with all parents. Raises DockertoolsError for trees that do not fit together."""
    match source:
        case PathsSource(paths, owner, mtime):
            trees = (
                walk(os.fsencode(path), os.fsencode(path[1:]), STORE_MODES, owner, mtime) for path in sorted(paths)
            )
            return with_parents((entry for tree in trees for entry in tree), owner)
        case RootSource(links, copies, owner, mtime, open_links):
            # A store path that is a link stands for what it leads to, here as for link_tree.
            copied = [
                (path, walk(os.path.realpath(os.fsencode(path)), b"", ROOT_MODES, owner, mtime, open_links=open_links))
                for path in copies
            ]
            linked = [(path, link_tree(os.fsencode(path), owner, mtime, open_links=open_links)) for path in links]
            merged = merge([*copied, *linked], same)
            return with_parents((entry for entry in merged if not entry.name.startswith(NOT_FOR_IMAGES)), owner)


def tar_chunks(source: Source, zstd: str | None = None, threads: int = 2) -> Iterator[Buffer]:
    """The uncompressed tar of a source, in pieces for so many threads; a view is valid until two further ones were drawn."""
    if isinstance(source, BlobSource):
        # Every compressor that there is: the layers of most images are made of store paths.
        from dockertools_py.pack.decompression import decompress  # noqa: PLC0415

        return decompress(stored_chunks(source), compressor_of(source.media_type), source.file, zstd)
    return tar_stream(entries(source), BUFFER_SIZE if threads > 1 else CACHED_SIZE)


def layer_chunks(layer: Layer, zstd: str | None = None, threads: int = 2) -> Iterator[Buffer]:
    """The uncompressed tar of a layer, checked: raises DockertoolsError when it is not what was described.

    With more than one of the `threads` it is hashed in another one than the caller's.
    """
    paths = layer.source.paths if isinstance(layer.source, PathsSource) else layer.store_paths
    what = f"{layer.label()}: not the bytes that were described; changed since then: one of {shown(' '.join(paths))}"
    return verified(tar_chunks(layer.source, zstd, threads), layer.diff_id, layer.size, what, threads)


def stored_chunks(source: BlobSource) -> Iterator[Buffer]:
    """The bytes of a blob as they are stored. Raises DockertoolsError when the file is too short."""
    left = source.size
    with open(source.file, "rb", buffering=0) as file:
        file.seek(source.offset)
        while left:
            data = file.read(min(READ_SIZE, left))
            if not data:
                raise DockertoolsError(f"{source.file}: ends {left} bytes before the end of the layer in it")
            left -= len(data)
            yield data


def same(first: Entry, second: Entry) -> bool:
    """Whether two entries that are no directories show the same: an equal link, or files of equal content and mode."""
    if first.kind is second.kind is Kind.SYMLINK and first.link == second.link:
        return True
    if not (os.path.isfile(first.path) and os.path.isfile(second.path)):
        return False
    import filecmp  # noqa: PLC0415 - seldom needed

    modes = {bool(os.stat(entry.path).st_mode & EXECUTABLE) for entry in (first, second)}
    return len(modes) == 1 and filecmp.cmp(first.path, second.path, shallow=False)
