"""Writing a bundle as one tar that is an OCI layout and a docker archive at once.

It is the only form that all of Docker (20.10 to 28, both stores), Podman, containerd and skopeo take. The tar is not
compressed (ctr before 2 and Podman 4 refuse that), its layers may be. The small files come first, so that a reader knows
everything before the first layer; there are no links, which Podman and containerd do not follow.
"""

from collections.abc import Callable, Iterator

from dockertools_py.formats.output import Sink
from dockertools_py.model.entry import Entry, Kind
from dockertools_py.pack.bundle import OCI_LAYOUT, Bundle
from dockertools_py.pack.layer import BlobSource, Layer
from dockertools_py.pack.tar import END, header, padding
from dockertools_py.pack.verified import Buffer

Produce = Callable[[Layer], Iterator[Buffer]]
"""Makes the uncompressed tar of a layer, checked against its diff_id."""

MODE = 0o644


def write_archive(bundle: Bundle, out: Sink, produce: Produce, *, docker: bool = True) -> None:
    """Write the archive; without `docker` the `manifest.json` is left out and it is an OCI layout only."""
    out.write(member("oci-layout", OCI_LAYOUT))
    out.write(member("index.json", bundle.index))
    if docker:
        out.write(member("manifest.json", bundle.archive_manifest))
    for blob in bundle.blobs:
        size = blob.descriptor.size
        match blob.content:
            case bytes(data):
                out.write(member(blob.member_name(), data))
            case BlobSource() as source:
                out.write(member_header(blob.member_name(), size))
                out.copy(source)
                out.write(bytes(padding(size)))
            case Layer() as layer:
                out.write(member_header(blob.member_name(), size))
                for chunk in produce(layer):
                    out.write(chunk)
                out.write(bytes(padding(size)))
    out.write(END)


def member(name: str, data: bytes) -> bytes:
    """A small member: header, content, padding."""
    return member_header(name, len(data)) + data + bytes(padding(len(data)))


def member_header(name: str, size: int) -> bytes:
    """The header of a member of `size` bytes."""
    return header(Entry(name.encode(), Kind.FILE, MODE, size=size))
