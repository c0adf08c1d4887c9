"""An image as nixpkgs' functions write it: plain layers, in an archive that is compressed as a whole."""

import sys
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from dockertools_py.derivations.attributes import Attributes
from dockertools_py.formats.archive import write_archive
from dockertools_py.formats.compressed_archive import usable, write_compressed_archive
from dockertools_py.formats.output import new_file
from dockertools_py.model.reference import Reference
from dockertools_py.pack.bundle import NamedImage, bundle
from dockertools_py.pack.compression import compress
from dockertools_py.pack.verified import Buffer
from dockertools_py.store.description import read_blobs, read_image
from dockertools_py.store.produce import layer_chunks


def build(attributes: Attributes) -> None:
    """Spec: `image` (a description), `references`, `blobs`, `compressor`, `level`, `zstd`, `notes` (for the log)."""
    spec = attributes.spec
    for note in spec["notes"]:
        print(note, file=sys.stderr)
    image = read_image(Path(spec["image"]))
    named = NamedImage(image, tuple(map(Reference.parse, spec["references"])))
    whole = bundle([named], {}, plain=True)
    produce = partial(layer_chunks, zstd=spec["zstd"])

    def member(chunks: Iterable[Buffer]) -> Iterator[bytes]:
        how = {"level": spec["level"], "workers": attributes.cores, "zstd": spec["zstd"]}
        return compress(chunks, spec["compressor"], **how)

    with new_file(attributes.out, in_place=True) as out:
        if spec["compressor"] == "none":
            write_archive(whole, out, produce)
        else:
            stored = usable(image.layers, spec["compressor"]) | read_blobs(attributes.paths("blobs"))
            write_compressed_archive(whole, out, produce, stored, member)
