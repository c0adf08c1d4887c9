"""The layers of a group compressed, once for every image that has them."""

import hashlib
from collections.abc import Iterator

from dockertools_py.derivations.attributes import Attributes
from dockertools_py.formats.output import new_file
from dockertools_py.model.digest import Digest
from dockertools_py.model.media_type import LAYER_OF_COMPRESSOR, OCI_LAYER
from dockertools_py.pack.compression import compress
from dockertools_py.pack.layer import BlobSource, Layer
from dockertools_py.store.description import read_layers, write_blobs
from dockertools_py.store.produce import layer_chunks


def build(attributes: Attributes) -> None:
    """Spec: `layers` (descriptions), `except` (descriptions whose layers others compress), `compressor`, `level`, `zstd`.

    Layers that are compressed blobs already stay as they are.
    """
    others = {layer.diff_id for folder in attributes.paths("except") for layer in read_layers(folder)}
    attributes.out.mkdir()
    blobs: dict[Digest, BlobSource] = {}
    for layer in (layer for folder in attributes.paths("layers") for layer in read_layers(folder)):
        is_plain = not isinstance(layer.source, BlobSource) or layer.source.media_type == OCI_LAYER
        if is_plain and layer.diff_id not in others and layer.diff_id not in blobs:
            blobs[layer.diff_id] = _compressed(attributes, layer)
    write_blobs(attributes.out, blobs)


def _compressed(attributes: Attributes, layer: Layer) -> BlobSource:
    spec = attributes.spec
    file = attributes.out / layer.diff_id.hex  # the digest of the blob is known only at its end
    hasher, size = hashlib.sha256(), 0
    with new_file(file, in_place=True) as out:
        for data in _compress(attributes, layer):
            hasher.update(data)
            size += len(data)
            out.write(data)
    digest = Digest("sha256", hasher.hexdigest())
    return BlobSource(str(file), 0, size, digest, LAYER_OF_COMPRESSOR[spec["compressor"]])


def _compress(attributes: Attributes, layer: Layer) -> Iterator[bytes]:
    spec = attributes.spec
    chunks = layer_chunks(layer, spec["zstd"])
    return compress(chunks, spec["compressor"], level=spec["level"], workers=attributes.cores, zstd=spec["zstd"])
