"""`inspect`: what is in an image, as a table or as JSON."""

import argparse
import json
from collections.abc import Iterator
from typing import Any

from dockertools_py.commands.image_argument import Opened, add_image, chosen_image
from dockertools_py.commands.progress import size
from dockertools_py.errors import shown


def run(arguments: list[str]) -> int:
    """Prints the description; exit code 0."""
    parser = argparse.ArgumentParser(prog="dockertools-py inspect", description=__doc__)
    add_image(parser)
    parser.add_argument("--paths", action="store_true", help="each layer's store paths too")
    parser.add_argument("--json", action="store_true", help="everything, as one JSON object")
    options = parser.parse_args(arguments)
    found = chosen_image(options)
    if options.json:
        print(json.dumps(described(found), indent=2))
    else:
        for line in lines(found, paths=options.paths):
            print(line)
    return 0


def described(found: Opened) -> dict[str, Any]:
    """Names, id, config and layers as JSON values; `platforms` are those of an index, of which this is one image."""
    named, image = found.named, found.named.image
    return {
        "references": [str(reference) for reference in named.references],
        "id": str(image.image_id()),
        "platform": str(image.config.platform),
        "platforms": [str(platform) for platform in found.platforms],
        "created": image.config.created,
        "config": dict(image.config.container),
        "size": sum(layer.size for layer in image.layers),
        "layers": [
            {
                "diffId": str(layer.diff_id),
                "size": layer.size,
                "createdBy": layer.created_by,
                "storePaths": list(layer.store_paths),
            }
            for layer in image.layers
        ],
    }


def lines(found: Opened, *, paths: bool) -> Iterator[str]:
    """The same for people."""
    value = described(found)
    yield "name     " + (", ".join(value["references"]) or "(none)")
    yield f"id       {value['id']}"
    yield f"platform {shown(value['platform'])}, created {value['created']}"
    if len(value["platforms"]) > 1:
        yield f"index    of {', '.join(map(shown, value['platforms']))}; another one: --platform"
    for key, setting in sorted(value["config"].items()):
        yield f"config   {key} = {shown(json.dumps(setting, ensure_ascii=False))}"
    yield f"size     {size(value['size'])} in {len(value['layers'])} layers, the lowest first:"
    for layer in value["layers"]:
        yield f"  {layer['diffId'][7:19]} {size(layer['size']):>9}  {shown(layer['createdBy'], 90)}"
        if paths:
            yield from (f"                           {path}" for path in layer["storePaths"])
