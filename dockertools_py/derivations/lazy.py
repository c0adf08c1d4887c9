"""An image described without a reference to it, for machines that have none of it; and what refers to its layers."""

from pathlib import Path

from dockertools_py.derivations.attributes import Attributes
from dockertools_py.pack.layer import files_of
from dockertools_py.store.compressed import is_plain
from dockertools_py.store.description import read_blobs, read_image, write_lazy


def build(attributes: Attributes) -> None:
    """Spec: `image` (a description), `blobs` (folders of compressed layers), `isLazy`.

    If not lazy, the output is a list of what a push of the lazy one may read, and so refers to that and to nothing else.
    """
    spec = attributes.spec
    image, stored = read_image(Path(spec["image"])), read_blobs(attributes.paths("blobs"))
    blobs = {layer.diff_id: stored[layer.diff_id] for layer in image.layers if is_plain(layer) and layer.diff_id in stored}
    if spec["isLazy"]:
        attributes.out.mkdir()
        write_lazy(attributes.out, image, blobs)
        return
    read = [file for layer in image.layers for file in files_of(blobs.get(layer.diff_id, layer.source))]
    attributes.out.write_text("".join(f"{file}\n" for file in read))
