"""Images as a file for `docker load`, as an OCI archive, or as an OCI layout."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    write(named_images(spec["images"]), attributes.paths("blobs"), spec["format"], attributes.out)


def write(images: Sequence[NamedImage], blobs: Iterable[Path], form: str, out: Path) -> None:
    """`images` as `form`: "archive", "oci-archive", or "layout", a directory; `blobs` are folders of compressed layers."""
    whole = bundle(images, read_blobs(blobs))
    if form == "layout":
        write_layout(whole, out, layer_chunks)
        return
    with new_file(out, in_place=True) as file:
        write_archive(whole, file, layer_chunks, docker=form == "archive")


def named_images(items: Iterable[Mapping[str, Any]]) -> list[NamedImage]:
    """The images that a spec lists, with their names."""
    return [image for item in items for image in _named(item)]


def _named(item: Mapping[str, Any]) -> Iterator[NamedImage]:
    if "all" not in item:
        yield NamedImage(read_image(Path(item["image"])), tuple(map(Reference.parse, item["references"])))
        return
    for folder in sorted(Path(item["all"]).iterdir(), key=lambda folder: (len(folder.name), folder.name)):
        if folder.is_dir():
            yield NamedImage(read_image(folder), parse_all(read_names(folder)))
