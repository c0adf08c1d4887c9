"""An image: a base or nothing, layers on top, and a config."""

import sys
from dataclasses import replace

from dockertools_py.derivations.attributes import Attributes
from dockertools_py.errors import DockertoolsError
from dockertools_py.model import container_config
from dockertools_py.model.digest import Digest
from dockertools_py.model.image_config import ImageConfig, parse_created
from dockertools_py.model.platform import Platform
from dockertools_py.model.references_graph import ReferencesGraph
from dockertools_py.pack.image import Image
from dockertools_py.pack.layer import PathsSource
from dockertools_py.store.description import read_image, read_layers, write_image

BIGGEST = 10


def build(attributes: Attributes) -> None:
    """Spec: `base`, `bases` (its description), `layers` (descriptions), `config`, `created`, `platform`.

    `inheritConfig`: what of the base's config counts; `allowPlatform`: whether the base may be for another platform. With the
    graph `closure` it says which paths of it are the biggest.
    """
    spec = attributes.spec
    created = parse_created(spec["created"])
    platform = Platform.from_json(spec["platform"])
    base = Image(ImageConfig(platform), ())
    if spec["base"]:
        (folder,) = attributes.paths("bases")
        base = read_image(folder)
        if not base.config.platform.runs_on(platform) and not spec["allowPlatform"]:
            raise DockertoolsError(
                f"fromImage: the base is for {base.config.platform}, the image for {platform}: give `architecture`, "
                "a base for the same platform, or `allowPlatformMismatch = true`"
            )
        inherited = container_config.selected(base.config.container, spec["inheritConfig"])
        base = replace(base, config=replace(base.config, platform=platform, container=inherited, blob=b""))
    have = _shown(base)
    layers = [layer for folder in attributes.paths("layers") for layer in read_layers(folder)]
    image = base.append([layer for layer in layers if layer.diff_id not in have], created)
    if "closure" in attributes.graphs:
        _say_biggest(attributes.graphs["closure"], image)
    attributes.out.mkdir()
    write_image(attributes.out, image.with_config(container_config.parse(spec["config"], "config"), created))


def _say_biggest(graph: ReferencesGraph, image: Image) -> None:
    """For the build's log; of the paths whose size Nix knows here."""
    there = image.store_paths()
    nodes = [node for path, node in graph.paths.items() if path in there]
    nodes.sort(key=lambda node: (-node.nar_size, node.path))
    total = sum(node.nar_size for node in nodes)
    print(f"debug: {len(nodes)} store paths, {total / 1e6:.1f} MB; the biggest:", file=sys.stderr)
    for node in nodes[:BIGGEST]:
        print(f"debug: {node.nar_size / 1e6:9.1f} MB  {node.path}", file=sys.stderr)


def _shown(base: Image) -> set[Digest]:
    """The layers of a base whose content shows, since nothing but store paths lies above: they need not be there again.

    Further down is what a layer above may have replaced or deleted, as one of `mkDelta` does.
    """
    shown = set()
    for layer in reversed(base.layers):
        shown.add(layer.diff_id)
        if not isinstance(layer.source, PathsSource):
            break
    return shown
