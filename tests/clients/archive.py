"""An archive of images, read by nothing but the standard library: what the engines' words are compared with."""

import gzip
import hashlib
import json
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True)
class ArchivedImage:
    """One image of an archive: its references, its image id and config, and the digests of its layers' bytes."""

    references: list[str]
    image_id: str
    config: dict[str, Any]
    layer_diff_ids: list[str]

    @property
    def diff_ids(self) -> list[str]:
        """The diff_ids that the config promises."""
        found: list[str] = self.config["rootfs"]["diff_ids"]
        return found


def read_images(archive: Path) -> list[ArchivedImage]:
    """Read the images that manifest.json lists: the form of all releases of Docker."""
    with tarfile.open(archive) as tar:
        return [_image(tar, item) for item in json.loads(_member(tar, "manifest.json"))]


def read_layout_names(archive: Path) -> list[tuple[str, str]]:
    """Read the full name and tag of every image that index.json lists, and check each blob that these name.

    Raises AssertionError for a blob with another digest or size than its descriptor says.
    """
    with tarfile.open(archive) as tar:
        names = []
        for listed in json.loads(_member(tar, "index.json"))["manifests"]:
            manifest = json.loads(_blob(tar, listed))
            for descriptor in (manifest["config"], *manifest["layers"]):
                _blob(tar, descriptor)
            notes = listed["annotations"]
            names.append((notes["io.containerd.image.name"], notes["org.opencontainers.image.ref.name"]))
        return names


def read_stored(image: Path) -> tuple[dict[str, Any], list[bytes]]:
    """Config and layers, as they are stored, of the only image of a docker archive, an OCI archive or an OCI layout."""
    if image.is_dir():
        return _stored(lambda name: (image / name).read_bytes(), is_archive=False)
    with tarfile.open(image) as tar:
        return _stored(lambda name: _member(tar, name), is_archive="manifest.json" in tar.getnames())


def plain(layer: bytes) -> bytes:
    """A layer without its compression."""
    if layer.startswith(ZSTD_MAGIC):
        return subprocess.run(["zstd", "-dc"], input=layer, capture_output=True, check=True).stdout
    return gzip.decompress(layer) if layer.startswith(GZIP_MAGIC) else layer


def _stored(read: Callable[[str], bytes], *, is_archive: bool) -> tuple[dict[str, Any], list[bytes]]:
    if is_archive:
        [item] = json.loads(read("manifest.json"))
        return json.loads(read(item["Config"])), [read(name) for name in item["Layers"]]
    blob = lambda descriptor: read("blobs/" + descriptor["digest"].replace(":", "/"))  # noqa: E731
    [listed] = json.loads(read("index.json"))["manifests"]
    manifest = json.loads(blob(listed))
    return json.loads(blob(manifest["config"])), [blob(layer) for layer in manifest["layers"]]


def _image(tar: tarfile.TarFile, item: dict[str, Any]) -> ArchivedImage:
    config = _member(tar, item["Config"])
    return ArchivedImage(
        references=item["RepoTags"] or [],
        image_id=_digest(config),
        config=json.loads(config),
        layer_diff_ids=[_digest(plain(_member(tar, name))) for name in item["Layers"]],
    )


def _blob(tar: tarfile.TarFile, descriptor: dict[str, Any]) -> bytes:
    blob = _member(tar, "blobs/" + descriptor["digest"].replace(":", "/"))
    assert _digest(blob) == descriptor["digest"]
    assert len(blob) == descriptor["size"]
    return blob


def _member(tar: tarfile.TarFile, name: str) -> bytes:
    # Follows links: `docker save` of 20.10 writes a layer once and links to it.
    content = tar.extractfile(name)
    assert content, f"{name} is no file"
    return content.read()


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
