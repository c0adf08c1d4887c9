"""An image, or an index, described without a reference to it, for machines that have none of it; and what its layers are."""

from collections.abc import Sequence
from pathlib import Path

from dockertools_py.derivations.attributes import Attributes
from dockertools_py.model.platform import Platform
from dockertools_py.pack.layer import files_of
from dockertools_py.store.compressed import is_plain
from dockertools_py.store.description import is_index, read_blobs, read_image, read_index, write_index, write_lazy


def build(attributes: Attributes) -> None:
    """Spec: `description`, `blobs` (folders of compressed layers), `isLazy`.

    If not lazy, the output is a list of what a push or a load of the lazy one may read: it refers to that, and to nothing else.
    """
    spec, out = attributes.spec, attributes.out
    description, stored = Path(spec["description"]), read_blobs(attributes.paths("blobs"))
    described: Sequence[tuple[Platform | None, Path]] = [(None, description)]
    annotations: dict[str, str] = {}
    if is_index(description):
        described, annotations = read_index(description)
    images = [(platform, read_image(folder)) for platform, folder in described]
    layers = [layer for _, image in images for layer in image.layers]
    blobs = {layer.diff_id: stored[layer.diff_id] for layer in layers if is_plain(layer) and layer.diff_id in stored}
    if not spec["isLazy"]:
        read = [file for layer in layers for file in files_of(blobs.get(layer.diff_id, layer.source))]
        out.write_text("".join(f"{file}\n" for file in dict.fromkeys(read)))
        return
    out.mkdir()
    children: list[tuple[Platform, Path]] = []
    for platform, image in images:
        folder = out
        if platform:
            folder = out / str(len(children))
            folder.mkdir()
            children.append((platform, folder))
        write_lazy(folder, image, {layer.diff_id: blobs[layer.diff_id] for layer in image.layers if layer.diff_id in blobs})
    if children:
        write_index(out, children, annotations)
