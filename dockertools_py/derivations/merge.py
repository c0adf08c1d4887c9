"""One image of several: all their layers, each store path once, their configs merged left to right."""

from dataclasses import replace

from dockertools_py.derivations.attributes import Attributes
from dockertools_py.errors import DockertoolsError
from dockertools_py.model import container_config
from dockertools_py.model.image_config import ImageConfig, parse_created
from dockertools_py.pack.image import Image, merge_layers
from dockertools_py.pack.layer import PathsSource
from dockertools_py.store.describe import describe
from dockertools_py.store.description import read_image, read_layers, write_image


def build(attributes: Attributes) -> None:
    """Spec: `images` and `layers` on top of them (descriptions), `config`, `created`, `names` of the images for errors.

    `allowOverride`: whether one may change what another has outside the store; see merged_root.py.
    """
    spec = attributes.spec
    created = parse_created(spec["created"])
    images = [read_image(folder) for folder in attributes.paths("images")]
    for name, image in zip(spec["names"], images, strict=True):
        if not image.config.platform.runs_on(images[0].config.platform):
            raise DockertoolsError(
                f"mergeImages: {spec['names'][0]} is for {images[0].config.platform}, "
                f"{name} for {image.config.platform}: images of one platform can be merged"
            )
    layers = []
    for layer, twice in merge_layers(images, last_wins=spec["allowOverride"]):
        if twice and isinstance(layer.source, PathsSource):
            kept = tuple(path for path in layer.source.paths if path not in twice)
            layers.append(describe(replace(layer.source, paths=kept)))
        else:
            layers.append(layer)
    container = container_config.merge(image.config.container for image in images)
    merged = Image(ImageConfig(images[0].config.platform, container), ()).append(layers, created)
    merged = merged.append((layer for folder in attributes.paths("layers") for layer in read_layers(folder)), created)
    attributes.out.mkdir()
    write_image(attributes.out, merged.with_config(container_config.parse(spec["config"], "config"), created))
