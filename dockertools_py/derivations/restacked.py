"""An image with the config of another one, and layers of its own in the place of some or all of that one's."""

from dataclasses import replace

from dockertools_py.derivations.attributes import Attributes
from dockertools_py.model.image_config import parse_created
from dockertools_py.pack.image import Image
from dockertools_py.store.description import read_image, read_layers, write_image


def build(attributes: Attributes) -> None:
    """Spec: `configs` (one description: its config), `below` (none or one: its layers and history), `layers`, `created`."""
    created = parse_created(attributes.spec["created"])
    (config,) = (read_image(folder).config for folder in attributes.paths("configs"))
    image = Image(replace(config, diff_ids=(), history=(), created=created, blob=b""), ())
    for folder in attributes.paths("below"):
        below = read_image(folder)
        stacked = replace(image.config, diff_ids=below.config.diff_ids, history=below.config.history)
        image = Image(stacked, below.layers)
    layers = [layer for folder in attributes.paths("layers") for layer in read_layers(folder)]
    attributes.out.mkdir()
    write_image(attributes.out, image.append(layers, created))
