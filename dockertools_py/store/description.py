"""Descriptions as files: layers, images and stored blobs, in the folder that a derivation of ours makes.

layers.json                 the layers of a group, lowest first
image.json, config.json     the layers of an image, and its config blob as it is sent
places.jsonl                for each layer its entries outside the store: what images on top are put on
platforms.json              the images of an index, by platform: where each is described
blobs.json                  compressed blobs by the diff_id of their layer
lazy.json                   an image and its blobs, written so that Nix sees no reference in it
*.tar, <hex>                bytes that these name by their full path
"""

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from dockertools_py.errors import DockertoolsError
from dockertools_py.model import canonical_json
from dockertools_py.model.digest import Digest
from dockertools_py.model.entry import Entry, Kind, Owner
from dockertools_py.model.platform import Platform
from dockertools_py.pack.image import Image
from dockertools_py.pack.layer import BlobSource, Layer

_LAYERS, _IMAGE, _CONFIG, _PLACES, _BLOBS = "layers.json", "image.json", "config.json", "places.jsonl", "blobs.json"
_PLATFORMS, _LAZY = "platforms.json", "lazy.json"


def write_layers(folder: Path, layers: Iterable[Layer]) -> None:
    """Describe a group of layers; `folder` is there."""
    _write(folder / _LAYERS, canonical_json.encode({"layers": [layer.to_json() for layer in layers]}))


def read_layers(folder: Path) -> tuple[Layer, ...]:
    """The layers of a group, or of an image."""
    name = _LAYERS if (folder / _LAYERS).exists() else _IMAGE
    return tuple(Layer.from_json(layer) for layer in _read(folder / name)["layers"])


def write_image(folder: Path, image: Image, names: Iterable[str] = ()) -> None:
    """Describe an image, and the names that it had where it comes from; `folder` is there."""
    _write(folder / _CONFIG, image.config.to_bytes())
    _write(folder / _IMAGE, canonical_json.encode({**image.to_json(), "names": list(names)}))


def read_image(folder: Path) -> Image:
    """The image that a folder describes. Raises DockertoolsError when it describes none."""
    if not (folder / _IMAGE).exists():
        raise DockertoolsError(f"{folder}: no description of an image: {_IMAGE} is not in it")
    return Image.from_json((folder / _CONFIG).read_bytes(), _read(folder / _IMAGE))


def read_names(folder: Path) -> tuple[str, ...]:
    """The names that a described image had where it comes from; ours have none, Nix knows theirs."""
    return tuple(_read(folder / _IMAGE)["names"])


def is_image(folder: Path) -> bool:
    """Whether a folder describes an image."""
    return (folder / _IMAGE).is_file()


def write_index(folder: Path, platforms: Iterable[tuple[Platform, Path]], annotations: Mapping[str, str]) -> None:
    """Describe an index of images that are described in folders of their own; `folder` is there."""
    listed = [{"platform": platform.to_json(), "image": str(image)} for platform, image in platforms]
    _write(folder / _PLATFORMS, canonical_json.encode({"platforms": listed, "annotations": dict(annotations)}))


def read_index(folder: Path) -> tuple[tuple[tuple[Platform, Path], ...], dict[str, str]]:
    """Where the images of an index are described, by platform, in order; and its annotations."""
    value = _read(folder / _PLATFORMS)
    images = ((Platform.from_json(entry["platform"]), Path(entry["image"])) for entry in value["platforms"])
    return tuple(images), dict(value["annotations"])


def is_index(folder: Path) -> bool:
    """Whether a folder describes an index."""
    return (folder / _PLATFORMS).is_file()


def write_places(folder: Path, layers: Iterable[Iterable[Entry]]) -> None:
    """Note the entries outside the store of each layer, without their content; `folder` is there."""
    # A line an entry, since there may be very many. Not the canonical encoder: names are bytes, and nothing is hashed.
    encode = json.JSONEncoder(separators=(",", ":")).encode
    with (folder / _PLACES).open("w", encoding="ascii") as file:
        for number, entries in enumerate(layers):
            file.writelines(encode([number, *_place_to_json(entry)]) + "\n" for entry in entries)


def read_places(folder: Path) -> Iterator[tuple[int, Iterator[Entry]]]:
    """The number of each layer that has entries outside the store, and these entries, until the next one is asked for."""
    if (folder / _PLACES).exists():
        with (folder / _PLACES).open(encoding="ascii") as file:
            for number, lines in groupby(map(json.loads, file), key=itemgetter(0)):
                yield number, (_place_from_json(line[1:]) for line in lines)


def write_blobs(folder: Path, blobs: Mapping[Digest, BlobSource]) -> None:
    """List stored blobs by the diff_id of their layer; `folder` is there."""
    _write(folder / _BLOBS, _encode_blobs(blobs))


def read_blobs(folders: Iterable[Path]) -> dict[Digest, BlobSource]:
    """The stored blobs of several folders; of two for one layer the first counts."""
    blobs: dict[Digest, BlobSource] = {}
    for folder in folders:
        blobs = _decode_blobs(_read(folder / _BLOBS)) | blobs
    return blobs


def write_lazy(folder: Path, image: Image, blobs: Mapping[Digest, BlobSource]) -> None:
    """Describe an image and blobs of its layers in a folder that refers to none of their store paths; `folder` is there."""
    image_json = canonical_json.encode(image.to_json())
    parts = {"image": image_json, "config": image.config.to_bytes(), "blobs": _encode_blobs(blobs)}
    # Nix looks for the letters of hashes, and finds none in base64. Before 2.14 it cannot be told not to look.
    _write(folder / _LAZY, canonical_json.encode({name: base64.b64encode(data).decode() for name, data in parts.items()}))


def read_lazy(folder: Path) -> tuple[Image, dict[Digest, BlobSource]]:
    """The image that a folder describes without referring to it, and blobs by the diff_id of their layer."""
    value = {name: base64.b64decode(text) for name, text in _read(folder / _LAZY).items()}
    described, blobs = (canonical_json.decode_object(value[name], str(folder / _LAZY)) for name in ("image", "blobs"))
    return Image.from_json(value["config"], described), _decode_blobs(blobs)


def is_lazy(folder: Path) -> bool:
    """Whether a folder describes an image without referring to it."""
    return (folder / _LAZY).is_file()


def _encode_blobs(blobs: Mapping[Digest, BlobSource]) -> bytes:
    return canonical_json.encode({str(diff_id): source.to_json() for diff_id, source in blobs.items()})


def _decode_blobs(value: Mapping[str, Any]) -> dict[Digest, BlobSource]:
    return {Digest.parse(diff_id): BlobSource.from_json(source) for diff_id, source in value.items()}


def _read(path: Path) -> Mapping[str, Any]:
    return canonical_json.decode_object(path.read_bytes(), str(path))


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _place_to_json(entry: Entry) -> list[Any]:
    names = (text.decode("utf-8", "surrogateescape") for text in (entry.name, entry.link))
    value = [entry.kind.value.decode(), *names, entry.mode, *entry.owner, entry.mtime, entry.size]
    if entry.xattrs or entry.device != (0, 0):  # seldom
        value += [entry.device, [(key, data.decode("latin-1")) for key, data in entry.xattrs]]
    return value


def _place_from_json(value: list[Any]) -> Entry:
    kind, name, link, mode, uid, gid, mtime, size, *rest = value
    name, link = (text.encode("utf-8", "surrogateescape") for text in (name, link))
    entry = Entry(name, Kind(kind.encode()), mode, Owner(uid, gid), mtime, size, link)
    if rest:
        device, xattrs = rest
        texts = tuple((key, data.encode("latin-1")) for key, data in xattrs)
        entry = entry._replace(device=(device[0], device[1]), xattrs=texts)
    return entry
