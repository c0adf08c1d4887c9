"""One image of several: all their layers, each store path once, their configs merged left to right."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dockertools_py.derivations.attributes import Attributes
from dockertools_py.derivations.stacks import Stack
from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model import container_config
from dockertools_py.model.image_config import ImageConfig, parse_created
from dockertools_py.pack.image import Image, merge_layers
from dockertools_py.pack.layer import PathsSource
from dockertools_py.pack.overriding import overridden
from dockertools_py.store.describe import describe
from dockertools_py.store.description import read_image, read_layers, write_image


def build(attributes: Attributes) -> None:
    """Spec: `images` and `layers` on top of them (descriptions), `config`, `created`, `names` of the images for errors.

    `places`: for each image the descriptions of what it has outside the store; `allowOverride`: whether one may change that
    of another.
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
    if not spec["allowOverride"]:
        _check_overriding([[Path(folder) for folder in folders] for folders in spec["places"]], spec["names"])
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


def _check_overriding(places: Sequence[Sequence[Path]], names: Sequence[str]) -> None:
    """What one image changes of a base that it shares with another is no conflict: the other only inherits it."""
    merged, stacks = Stack(), [Stack() for _ in places]
    for number, folders in enumerate(places):
        merged.add(folders, number)
        stacks[number].add(folders, number)
    for number, own in enumerate(stacks):

        def same(path: bytes, own: Stack = own) -> bool:
            return own.shown(path) == merged.shown(path)

        for path, node, other in overridden(own.tree, merged.tree, same):
            inheriting = [stack for stack in stacks if stack is not own and stack.has_layer(own.layer_of(node))]
            if other is not None and stacks[merged.image_of(other)] in inheriting:
                continue
            if other is None and any(stack.tree.get(path) is None for stack in inheriting):
                continue
            by = names[merged.image_of(other)] if other is not None else "another one"
            what = f"{by} shows something else there" if other is not None else f"{by} deletes it"
            raise DockertoolsError(
                f"mergeImages: /{shown(path)} of {names[number]} would change: {what}; "
                "give `allowOverride = true` if the last image shall win, or take one of them out"
            )
