"""Writing a bundle as an archive that is compressed as a whole, of parts that are compressed already.

Readers of nixpkgs' archives want gzip outside and plain layers inside. Compressing all of it again would cost more than all
else together, and there is no need: gzip files (RFC 1952, 2.2) and zstd files (RFC 8878, 3.1) put one after the other are one
file of all their contents. So the archive is

    [headers, JSON, config, header of layer 1] [layer 1] [its padding, header of layer 2] [layer 2] … [padding, end]

where each bracket is a member of its own, and a layer's is the blob that was stored when the layer was compressed.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping

from dockertools_py.formats.archive import Produce, member, member_header
from dockertools_py.formats.output import Sink
from dockertools_py.model.digest import Digest
from dockertools_py.model.media_type import compressor_of
from dockertools_py.pack.bundle import OCI_LAYOUT, Bundle
from dockertools_py.pack.layer import BlobSource, Layer
from dockertools_py.pack.tar import END, padding
from dockertools_py.pack.verified import Buffer

Compress = Callable[[Iterable[Buffer]], Iterator[bytes]]
"""Makes one member, or frame, of plain bytes."""


def write_compressed_archive(
    bundle: Bundle, out: Sink, produce: Produce, stored: Mapping[Digest, BlobSource], compress: Compress
) -> None:
    """Write the archive of a bundle of plain layers; `stored` are layers compressed as `compress` does it, by diff_id."""
    small = [member("oci-layout", OCI_LAYOUT), member("index.json", bundle.index)]
    small.append(member("manifest.json", bundle.archive_manifest))
    for blob in bundle.blobs:
        if isinstance(blob.content, bytes):
            small.append(member(blob.member_name(), blob.content))
            continue
        small.append(member_header(blob.member_name(), blob.descriptor.size))
        _write(out, compress(small))
        if blob.descriptor.digest in stored:
            out.copy(stored[blob.descriptor.digest])
        else:
            assert isinstance(blob.content, Layer), "all that a bundle of plain layers holds but its JSON"
            _write(out, compress(produce(blob.content)))
        small = [bytes(padding(blob.descriptor.size))]
    _write(out, compress([*small, END]))


def usable(layers: Iterable[Layer], compressor: str) -> dict[Digest, BlobSource]:
    """Those layers, by diff_id, that are blobs of this compressor and can stand between other members.

    Other programs may pad a gzip file with zeros at its end, which no reader expects before a further member: its last field
    is the size of what is in it.
    """
    found = {}
    for layer in layers:
        source = layer.source
        if not isinstance(source, BlobSource) or compressor_of(source.media_type) != compressor:
            continue
        if compressor != "gz" or _last_field(source) == layer.size & 0xFFFFFFFF:
            found[layer.diff_id] = source
    return found


def _last_field(source: BlobSource) -> int:
    with open(source.file, "rb", buffering=0) as file:
        return int.from_bytes(os.pread(file.fileno(), 4, source.offset + source.size - 4), "little")


def _write(out: Sink, chunks: Iterable[bytes]) -> None:
    for chunk in chunks:
        out.write(chunk)
