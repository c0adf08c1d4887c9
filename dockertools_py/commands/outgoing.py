"""A layer of ours as one that a registry is to have: its blob where there is one, and else how it is made."""

from collections.abc import Iterable, Mapping

from dockertools_py.model.descriptor import Descriptor
from dockertools_py.model.digest import Digest
from dockertools_py.model.media_type import LAYER_OF_COMPRESSOR
from dockertools_py.pack.compression import compress
from dockertools_py.pack.layer import BlobSource, Layer, files_of
from dockertools_py.pack.verified import Buffer
from dockertools_py.registry.content import FileRange
from dockertools_py.registry.layers import Outgoing, Stored
from dockertools_py.store.compressed import Compression, is_plain
from dockertools_py.store.produce import layer_chunks


def outgoing(layer: Layer, how: Compression, blobs: Mapping[Digest, BlobSource]) -> Outgoing:
    """The layer, compressed as `how` says where it is not yet; `blobs` are compressed layers that are stored elsewhere."""
    wanted = LAYER_OF_COMPRESSOR[how.compressor]

    def make(threads: int) -> Iterable[Buffer]:
        chunks = layer_chunks(layer, how.zstd, threads)
        return compress(chunks, how.compressor, level=how.level, workers=threads, zstd=how.zstd)

    stored, read = None, layer.source
    if isinstance(layer.source, BlobSource) and not is_plain(layer):
        stored = _stored(layer.source, is_fixed=True)
    elif blob := blobs.get(layer.diff_id):
        stored, read = _stored(blob, is_fixed=False), blob
    elif isinstance(layer.source, BlobSource) and how.compressor == "none":
        stored = _stored(layer.source, is_fixed=False)
    return Outgoing(layer.diff_id, layer.size, layer.label(), wanted, make, stored, files_of(read))


def _stored(source: BlobSource, *, is_fixed: bool) -> Stored:
    blob = Descriptor(source.media_type, source.digest, source.size)
    return Stored(blob, FileRange(source.file, source.offset, source.size), is_fixed)
