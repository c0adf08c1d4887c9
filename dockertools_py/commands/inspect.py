"""`inspect`: what is in an image, as a table or as JSON."""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dockertools_py.commands.image_argument import open_image
from dockertools_py.commands.progress import size
from dockertools_py.commands.zstd import add_zstd
from dockertools_py.errors import shown
from dockertools_py.pack.bundle import NamedImage


def run(arguments: list[str]) -> int:
    """Prints the description; exit code 0."""
    parser = argparse.ArgumentParser(prog="dockertools-py inspect", description=__doc__)
    parser.add_argument(
        "image", metavar="IMAGE", type=Path, help="a description that Nix built, an archive or a layout"
    )
    parser.add_argument("--choose", metavar="NAME:TAG", help="which image, where there are several")
    add_zstd(parser)
    parser.add_argument("--paths", action="store_true", help="each layer's store paths too")
    parser.add_argument("--json", action="store_true", help="everything, as one JSON object")
    options = parser.parse_args(arguments)
    named = open_image(options.image, options.choose, options.zstd)
    if options.json:
        print(json.dumps(described(named), indent=2))
    else:
        for line in lines(named, paths=options.paths):
            print(line)
    return 0


def described(named: NamedImage) -> dict[str, Any]:
    """Names, id, config and layers as JSON values."""
    image = named.image
    return {
        "references": [str(reference) for reference in named.references],
        "id": str(image.image_id()),
        "platform": str(image.config.platform),
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


def lines(named: NamedImage, *, paths: bool) -> Iterator[str]:
    """The same for people."""
    value = described(named)
    yield "name     " + (", ".join(value["references"]) or "(none)")
    yield f"id       {value['id']}"
    yield f"platform {value['platform']}, created {value['created']}"
    for key, setting in sorted(value["config"].items()):
        yield f"config   {key} = {shown(json.dumps(setting, ensure_ascii=False))}"
    yield f"size     {size(value['size'])} in {len(value['layers'])} layers, the lowest first:"
    for layer in value["layers"]:
        yield f"  {layer['diffId'][7:19]} {size(layer['size']):>9}  {shown(layer['createdBy'], 90)}"
        if paths:
            yield from (f"                           {path}" for path in layer["storePaths"])
