"""An image as a value: a config and its layers, lowest first; and how images are made of images."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any, Self

from dockertools_py.errors import DockertoolsError
from dockertools_py.model import container_config
from dockertools_py.model.container_config import ContainerConfig
from dockertools_py.model.digest import Digest
from dockertools_py.model.image_config import History, ImageConfig
from dockertools_py.pack.layer import Layer, PathsSource, shown_paths

MAX_LAYERS = 125
"""More fail with `max depth exceeded` on every Docker that mounts overlayfs by itself (20.10 to 28 measured)."""


@dataclass(frozen=True, slots=True)
class Image:
    """The config's diff_ids are those of the layers, in order."""

    config: ImageConfig
    layers: tuple[Layer, ...]

    @classmethod
    def from_json(cls, config: bytes, value: Mapping[str, Any]) -> Self:
        """From a description: the config blob, and the object that lists the layers. Raises DockertoolsError."""
        layers = tuple(Layer.from_json(layer) for layer in value["layers"])
        parsed = ImageConfig.from_json(config, "config.json")
        if parsed.diff_ids != tuple(layer.diff_id for layer in layers):
            raise DockertoolsError("config.json: its diff_ids are not those of the layers beside it")
        return cls(parsed, layers)

    def to_json(self) -> dict[str, Any]:
        """The layers as in a description; the config is a blob of its own."""
        return {"layers": [layer.to_json() for layer in self.layers]}

    def image_id(self) -> Digest:
        """The digest of the config blob."""
        return Digest.of(self.config.to_bytes())

    def store_paths(self) -> set[str]:
        """All store paths that are whole at the top."""
        return shown_paths(self.layers)

    def append(self, layers: Iterable[Layer], created: str) -> "Image":
        """With further layers on top, and an entry of history for each. Raises DockertoolsError over MAX_LAYERS."""
        added = tuple(layers)
        check_count(len(self.layers), len(added))
        config = replace(
            self.config,
            diff_ids=self.config.diff_ids + tuple(layer.diff_id for layer in added),
            history=self.config.history + tuple(History(created, layer.created_by) for layer in added),
            blob=b"",
        )
        return Image(config, self.layers + added)

    def with_config(self, container: ContainerConfig, created: str) -> "Image":
        """With `container` inherited on top, created at `created`."""
        inherited = container_config.inherit(self.config.container, container)
        return Image(replace(self.config, container=inherited, created=created, blob=b""), self.layers)


def check_count(base: int, added: int) -> None:
    """Raises DockertoolsError when more than MAX_LAYERS layers come together."""
    if base + added > MAX_LAYERS:
        below = f", {base} of them the base's" if base else ""
        raise DockertoolsError(
            f"{base + added} layers{below}: Docker mounts at most {MAX_LAYERS}; "
            "give a smaller maxLayers, or a base with fewer layers"
        )


def merge_layers(images: Sequence[Image], *, last_wins: bool = False) -> tuple[tuple[Layer, frozenset[str]], ...]:
    """The layers of all images, left to right, each once; with the store paths of each that lie below it already.

    A layer that brings nothing new is left out. A layer whose second part is not empty holds paths twice: the caller
    describes it again without them, the only case in which composing makes bytes anew. What a layer of one image hides of
    another's store paths comes again at the end.

    That each layer is there once may change what a path shows, where something between says otherwise: whoever does not
    compare wants `last_wins`. Then only a base that images share is not put on top again, the same first layers.
    """
    merged: list[tuple[Layer, frozenset[str]]] = []
    have_layers: set[Digest] = set()
    have_paths: set[str] = set()

    def add(layer: Layer, twice: frozenset[str] = frozenset()) -> None:
        nonlocal have_paths
        merged.append((layer, twice))
        have_layers.add(layer.diff_id)
        have_paths = shown_paths([layer], have_paths)

    for number, image in enumerate(images):
        shared = max((_common(image, other) for other in images[:number]), default=0)
        for depth, layer in enumerate(image.layers):
            paths = frozenset(layer.store_paths)
            if _is_of_paths(layer):
                if not paths <= have_paths:
                    add(layer, paths & have_paths)
            elif layer.diff_id not in have_layers or (last_wins and depth >= shared):
                add(layer)
    missing = {path for image in images for path in image.store_paths()} - have_paths
    for layer in (layer for image in images for layer in image.layers if _is_of_paths(layer)):
        paths = frozenset(layer.store_paths)
        if paths & missing:
            add(layer, paths - missing)
            missing -= paths
    if missing and not last_wins:
        raise DockertoolsError(
            f"mergeImages: {min(missing)} of one image is hidden by a layer of another, and is in a layer that cannot be "
            "split: put the image that hides it first"
        )
    return tuple(merged)


def _is_of_paths(layer: Layer) -> bool:
    return bool(layer.store_paths) and isinstance(layer.source, PathsSource)


def _common(image: Image, other: Image) -> int:
    """How many of the lowest layers two images share."""
    pairs = zip(image.layers, other.layers, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0].diff_id == pair[1].diff_id, pairs))
