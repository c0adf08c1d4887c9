"""Descriptions as files: layers, images and stored blobs, in the folder that a derivation of ours makes.

layers.json                 the layers of a group, lowest first
image.json, config.json     the layers of an image, and its config blob as it is sent
blobs.json                  compressed blobs by the diff_id of their layer
*.tar, <hex>                bytes that these name by their full path
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dockertools_py.errors import DockertoolsError
from dockertools_py.model import canonical_json
from dockertools_py.model.digest import Digest
from dockertools_py.pack.image import Image
from dockertools_py.pack.layer import BlobSource, Layer

_LAYERS, _IMAGE, _CONFIG, _BLOBS = "layers.json", "image.json", "config.json", "blobs.json"


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


def write_blobs(folder: Path, blobs: Mapping[Digest, BlobSource]) -> None:
    """List stored blobs by the diff_id of their layer; `folder` is there."""
    listed = {str(diff_id): source.to_json() for diff_id, source in blobs.items()}
    _write(folder / _BLOBS, canonical_json.encode(listed))


def read_blobs(folders: Iterable[Path]) -> dict[Digest, BlobSource]:
    """The stored blobs of several folders; of two for one layer the first counts."""
    blobs: dict[Digest, BlobSource] = {}
    for folder in folders:
        for diff_id, source in _read(folder / _BLOBS).items():
            blobs.setdefault(Digest.parse(diff_id), BlobSource.from_json(source))
    return blobs


def _read(path: Path) -> Mapping[str, Any]:
    return canonical_json.decode_object(path.read_bytes(), str(path))


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)
