"""The root file system that a container of an image begins with, as a tar."""

from dockertools_py.derivations.attributes import Attributes
from dockertools_py.errors import DockertoolsError
from dockertools_py.formats.output import new_file
from dockertools_py.pack.flat import flat
from dockertools_py.store.description import read_image
from dockertools_py.store.open_tree import Opener


def build(attributes: Attributes) -> None:
    """Spec: `images` (one description), `zstd`. The bytes are those of the layer that `flatten` makes."""
    (folder,) = attributes.paths("images")
    try:
        opened = Opener(attributes.build_top / "layers", attributes.spec["zstd"]).open(read_image(folder).layers)
        with new_file(attributes.out, in_place=True) as out:
            for chunk in opened.tar(flat(opened.tree)):
                out.write(chunk)
    except DockertoolsError as error:
        raise DockertoolsError(f"exportImage: `fromImage`: {error}") from error
