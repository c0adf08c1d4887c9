"""What must be added to one image to get the tree of another."""

from dataclasses import replace
from functools import partial

from dockertools_py.derivations.attributes import Attributes
from dockertools_py.derivations.stored_layer import places, write_layer
from dockertools_py.errors import DockertoolsError
from dockertools_py.formats.output import new_file
from dockertools_py.pack.delta import Delta, delta
from dockertools_py.pack.image import Image
from dockertools_py.pack.layer import EVERYTHING, STORE_MTIME
from dockertools_py.pack.layer_content import STORE, store_path
from dockertools_py.pack.tree import Node
from dockertools_py.store.description import read_image, write_layers, write_places
from dockertools_py.store.open_tree import Opener, OpenTree


def build(attributes: Attributes) -> None:
    """Spec: `images` (the descriptions of the first and the second), `form`, `zstd`.

    `form` is `layer` (a description of one layer, or of none where nothing differs), `tarball` (what is new or other, without
    whiteouts) or `removed` (absolute paths to remove before that is unpacked, each followed by NUL).
    """
    spec = attributes.spec
    old_image, new_image = (read_image(folder) for folder in attributes.paths("images"))
    if not old_image.config.platform.runs_on(new_image.config.platform):
        raise DockertoolsError(
            f"mkDelta: fromImage is for {old_image.config.platform}, toImage for {new_image.config.platform}: "
            "give two images for one platform"
        )
    try:
        opener = Opener(attributes.build_top / "layers", spec["zstd"])
        old, new = opener.open(old_image.layers), opener.open(new_image.layers)
        found = delta(old.tree, new.tree, partial(_same_content, old, new))
        if spec["form"] == "layer":
            _write_layer(attributes, found, new, (old_image, new_image))
        elif spec["form"] == "tarball":
            with new_file(attributes.out, in_place=True) as out:
                for chunk in new.tar(found.members):
                    out.write(chunk)
        else:
            attributes.out.write_bytes(b"".join(b"/" + name + b"\0" for name in found.removals()))
    except DockertoolsError as error:
        raise DockertoolsError(f"mkDelta: {error}") from error


def _write_layer(attributes: Attributes, found: Delta, new: OpenTree, images: tuple[Image, Image]) -> None:
    members = found.layer(STORE_MTIME)
    attributes.out.mkdir()
    if not members:
        write_layers(attributes.out, [])
        return
    brought = images[1].store_paths() - images[0].store_paths()
    by = f"delta: {len(found.members)} entries, {len(found.gone)} removed"
    layer = write_layer(attributes.out / "layer.tar", new.tar(members), brought, by)
    write_layers(attributes.out, [replace(layer, hidden=_hidden(found, images))])
    write_places(attributes.out, [places(members)])


def _hidden(found: Delta, images: tuple[Image, Image]) -> tuple[str, ...]:
    """The store paths that the layer hides: of the first image, and of others that may be stacked below it."""
    there = images[0].store_paths()
    there |= {store_path(name) for name in found.gone if name.startswith(STORE)}
    there |= {EVERYTHING for name in found.gone if name in (b"nix", b"nix/store")}
    return tuple(sorted(there - images[1].store_paths()))


def _same_content(old: OpenTree, new: OpenTree, one: Node, other: Node) -> bool:
    return old.same_content(one, new, other)
