"""Images as a file for `docker load`, as an OCI archive, or as an OCI layout."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dockertools_py.derivations.attributes import Attributes
from dockertools_py.formats.archive import write_archive
from dockertools_py.formats.layout import write_layout
from dockertools_py.formats.output import new_file
from dockertools_py.model.reference import Reference, parse_all
from dockertools_py.pack.bundle import NamedImage, bundle
from dockertools_py.store.description import read_blobs, read_image, read_names
from dockertools_py.store.produce import layer_chunks


def build(attributes: Attributes) -> None:
    """Spec: `images`, `blobs`, `format`.

    Each of `images` is an object of `image` (a description) and `references`, or of `all` (a folder of descriptions).
    """
    spec = attributes.spec
    named = [image for item in spec["images"] for image in _named(item)]
    whole = bundle(named, read_blobs(attributes.paths("blobs")))
    if spec["format"] == "layout":
        write_layout(whole, attributes.out, layer_chunks)
        return
    with new_file(attributes.out, in_place=True) as out:
        write_archive(whole, out, layer_chunks, docker=spec["format"] == "archive")


def _named(item: Mapping[str, Any]) -> Iterator[NamedImage]:
    if "all" not in item:
        yield NamedImage(read_image(Path(item["image"])), tuple(map(Reference.parse, item["references"])))
        return
    for folder in sorted(Path(item["all"]).iterdir(), key=lambda folder: (len(folder.name), folder.name)):
        if folder.is_dir():
            yield NamedImage(read_image(folder), parse_all(read_names(folder)))
