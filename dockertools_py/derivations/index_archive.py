"""An index as a file for `docker load` and others, as an OCI archive, or as an OCI layout."""

from dockertools_py.derivations.attributes import Attributes
from dockertools_py.formats.archive import write_archive
from dockertools_py.formats.layout import write_layout
from dockertools_py.formats.output import new_file
from dockertools_py.model.platform import Platform
from dockertools_py.model.reference import Reference
from dockertools_py.pack.graph_bundle import index_bundle
from dockertools_py.store.description import read_blobs, read_image, read_index
from dockertools_py.store.produce import layer_chunks


def build(attributes: Attributes) -> None:
    """Spec: `index` (its description in a list), `references`, `blobs`, `format`, `native` (the platform of Docker's list)."""
    spec = attributes.spec
    (folder,) = attributes.paths("index")
    described, annotations = read_index(folder)
    images = tuple((platform, read_image(image)) for platform, image in described)
    references = tuple(map(Reference.parse, spec["references"]))
    blobs = read_blobs(attributes.paths("blobs"))
    whole = index_bundle(images, blobs, references, annotations, Platform.from_json(spec["native"]))
    if spec["format"] == "layout":
        write_layout(whole, attributes.out, layer_chunks)
        return
    with new_file(attributes.out, in_place=True) as out:
        write_archive(whole, out, layer_chunks, docker=spec["format"] == "archive")
