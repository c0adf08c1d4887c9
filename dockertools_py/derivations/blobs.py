"""The layers of a group compressed, once for every image that has them."""

from dockertools_py.derivations.attributes import Attributes
from dockertools_py.store.compressed import Compression, compress_layers
from dockertools_py.store.description import read_layers, write_blobs


def build(attributes: Attributes) -> None:
    """Spec: `layers` (descriptions), `except` (descriptions whose layers others compress), `compressor`, `level`, `zstd`.

    Layers that are compressed blobs already stay as they are.
    """
    spec = attributes.spec
    others = {layer.diff_id for folder in attributes.paths("except") for layer in read_layers(folder)}
    layers = [layer for folder in attributes.paths("layers") for layer in read_layers(folder)]
    attributes.out.mkdir()
    blobs = compress_layers(
        [layer for layer in layers if layer.diff_id not in others],
        attributes.out,
        Compression(spec["compressor"], spec["level"], spec["zstd"]),
        attributes.cores,
    )
    write_blobs(attributes.out, blobs)
