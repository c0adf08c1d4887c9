"""All layers of an image as one."""

from dockertools_py.derivations.attributes import Attributes
from dockertools_py.derivations.stored_layer import places, write_layer
from dockertools_py.errors import DockertoolsError
from dockertools_py.pack.flat import flat
from dockertools_py.store.description import read_image, write_layers, write_places
from dockertools_py.store.open_tree import Opener


def build(attributes: Attributes) -> None:
    """Spec: `images` (one description), `zstd`."""
    spec = attributes.spec
    (folder,) = attributes.paths("images")
    image = read_image(folder)
    attributes.out.mkdir()
    try:
        opened = Opener(attributes.build_top / "layers", spec["zstd"]).open(image.layers)
        tree = opened.tree
        there = [path for path in image.store_paths() if tree.get(path.encode()) is not None]
        by = f"flattened: {len(image.layers)} layers"
        layer = write_layer(attributes.out / "layer.tar", opened.tar(flat(tree)), there, by)
    except DockertoolsError as error:
        raise DockertoolsError(f"flattenImage: `fromImage`: {error}") from error
    write_layers(attributes.out, [layer])
    write_places(attributes.out, [places(flat(tree))])
