"""The description of an index: which image is for which platform, as buildIndex has them."""

from pathlib import Path

from dockertools_py.derivations.attributes import Attributes
from dockertools_py.errors import DockertoolsError
from dockertools_py.model.platform import Platform
from dockertools_py.store.description import read_image, write_index


def build(attributes: Attributes) -> None:
    """Spec: `platforms`, a list of `name` (as given), `platform` and `image` (a description); `annotations`."""
    found: dict[str, Platform] = {}
    for entry in attributes.spec["platforms"]:
        name, platform = entry["name"], Platform.from_json(entry["platform"])
        own = read_image(Path(entry["image"])).config.platform
        if not own.runs_on(platform):
            raise DockertoolsError(f'buildIndex: images."{name}" is for {own}: name it so, or build it for {platform}')
        for other, same in found.items():
            if same.runs_on(platform) and platform.runs_on(same):
                raise DockertoolsError(f'buildIndex: images."{name}" and images."{other}" are for one platform')
        found[name] = platform
    attributes.out.mkdir()
    folders = [Path(entry["image"]) for entry in attributes.spec["platforms"]]
    write_index(attributes.out, zip(found.values(), folders, strict=True), attributes.spec["annotations"])
