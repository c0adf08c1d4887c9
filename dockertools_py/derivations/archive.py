"""Images as a file for `docker load`, as an OCI archive, or as an OCI layout."""

from pathlib import Path

from dockertools_py.derivations.attributes import Attributes
from dockertools_py.formats.archive import write_archive
from dockertools_py.formats.layout import write_layout
from dockertools_py.formats.output import new_file
from dockertools_py.model.reference import Reference
from dockertools_py.pack.bundle import NamedImage, bundle
from dockertools_py.store.description import read_blobs, read_image
from dockertools_py.store.produce import layer_chunks


def build(attributes: Attributes) -> None:
    """Spec: `images` (objects of `image`, a description, and `references`), `blobs`, `format`, `zstd`."""
    spec = attributes.spec
    named = [
        NamedImage(read_image(Path(item["image"])), tuple(map(Reference.parse, item["references"])))
        for item in spec["images"]
    ]
    whole = bundle(named, read_blobs(attributes.paths("blobs")))
    if spec["format"] == "layout":
        write_layout(whole, attributes.out, layer_chunks)
        return
    with new_file(attributes.out, in_place=True) as out:
        write_archive(whole, out, layer_chunks, docker=spec["format"] == "archive")
