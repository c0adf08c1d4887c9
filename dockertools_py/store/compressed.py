"""Layers compressed into files, several at once: plain bytes are checked, compressed ones measured, in the same pass."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from dockertools_py.model.digest import Digest
from dockertools_py.model.media_type import LAYER_OF_COMPRESSOR, OCI_LAYER
from dockertools_py.pack.compression import compress
from dockertools_py.pack.layer import BlobSource, Layer
from dockertools_py.parallel import parallel, shares
from dockertools_py.store.produce import layer_chunks


@dataclass(frozen=True, slots=True)
class Compression:
    """How to compress: `none`, `gz` or `zstd`, the level, and the zstd program for where Python has none."""

    compressor: str
    level: int
    zstd: str | None = None


def compress_layers(
    layers: Iterable[Layer],
    folder: Path,
    compression: Compression,
    cores: int,
) -> dict[Digest, BlobSource]:
    """The blob of each layer by its diff_id, in files of `folder`; layers that are compressed already have none.

    A process a layer, `cores` of them at once.
    """
    plain = {layer.diff_id: layer for layer in layers if is_plain(layer)}
    if compression.compressor == "none":
        return {}
    ordered = sorted(plain.values(), key=lambda layer: -layer.size)
    sizes = [layer.size for layer in ordered]
    tasks = [
        partial(_compress, layer, folder, compression, threads)
        for layer, threads in zip(ordered, shares(sizes, cores), strict=True)
    ]
    made = zip(ordered, parallel(tasks, sizes, cores), strict=True)
    blobs = {layer.diff_id: BlobSource.from_json(blob) for layer, blob in made}
    return {diff_id: blobs[diff_id] for diff_id in plain}


def is_plain(layer: Layer) -> bool:
    """Whether a layer's bytes are not compressed yet."""
    return not isinstance(layer.source, BlobSource) or layer.source.media_type == OCI_LAYER


def _compress(layer: Layer, folder: Path, how: Compression, workers: int) -> dict[str, Any]:
    file = folder / layer.diff_id.hex  # the digest of the blob is known only at its end
    hasher, size = hashlib.sha256(), 0
    with file.open("xb") as out:
        for data in compress(
            layer_chunks(layer, how.zstd, workers), how.compressor, level=how.level, workers=workers, zstd=how.zstd
        ):
            hasher.update(data)
            size += len(data)
            out.write(data)
    digest = Digest("sha256", hasher.hexdigest())
    return BlobSource(str(file), 0, size, digest, LAYER_OF_COMPRESSOR[how.compressor]).to_json()
