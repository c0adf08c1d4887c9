"""A lock file: an image in a registry, with the digest and size of everything that it is made of.

One object of canonical JSON:

version     1
image       where it was: `docker.io/library/alpine:3.20`, or with a digest for a tag
name, tag   what it is called by default: `alpine`, `3.20`
platform    what it is for: os, architecture, variant
index       descriptor of the index that it was chosen from; absent when there was none
manifest    descriptor of its manifest …
config      … of the config, with its bytes as `data` (OCI image spec 1.1, descriptor.md, "Embedded Content") …
layers      … and of the layers, the lowest first
container   how a container is started: `config` of the config blob, so that evaluation can look at it
"""

import base64
import io
from dataclasses import dataclass
from typing import Any

from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model import canonical_json
from dockertools_py.model.canonical_json import MAX_JSON_BYTES
from dockertools_py.model.container_config import ContainerConfig
from dockertools_py.model.descriptor import Descriptor
from dockertools_py.model.digest import Digest
from dockertools_py.model.image_config import ImageConfig
from dockertools_py.model.index import Index
from dockertools_py.model.manifest import Manifest
from dockertools_py.model.media_type import DOCKER_CONFIG, INDEXES, OCI_CONFIG, compressor_of
from dockertools_py.model.platform import Platform
from dockertools_py.registry.choice import choose
from dockertools_py.registry.puller import Puller
from dockertools_py.registry.remote import RemoteImage

VERSION = 1
DEFAULT_TAG = "latest"
_MAX_NESTING = 4


@dataclass(frozen=True, slots=True)
class Lock:
    """What a lock file says."""

    image: RemoteImage
    platform: Platform
    index: Descriptor | None
    manifest: Descriptor
    config: Descriptor
    layers: tuple[Descriptor, ...]
    container: ContainerConfig
    config_blob: bytes
    diff_ids: tuple[Digest, ...]

    def to_bytes(self) -> bytes:
        """The lock file."""
        value = {
            "version": VERSION,
            "image": str(self.image),
            "name": self.image.familiar_name(),
            "tag": self.image.tag or DEFAULT_TAG,
            "platform": self.platform.to_json(),
            "manifest": _plain(self.manifest),
            # Not fetched by itself: it may name store paths, as a fixed output must not (nix/internal/runBuilder.nix).
            "config": _plain(self.config) | {"data": base64.b64encode(self.config_blob).decode()},
            "layers": [_plain(layer) for layer in self.layers],
            "container": dict(self.container),
        }
        return canonical_json.encode(value if self.index is None else value | {"index": _plain(self.index)}) + b"\n"


def resolve(puller: Puller, image: RemoteImage, platform: Platform, *, strict: bool = True) -> Lock:
    """Ask a registry what an image is made of; no layer is fetched.

    `strict` refuses an image that names another platform and was not chosen from an index. Raises DockertoolsError.
    """
    fetched = puller.manifest(str(image.digest) if image.digest else image.tag)
    index = fetched.descriptor if fetched.descriptor.media_type in INDEXES else None
    for _ in range(_MAX_NESTING):
        if fetched.descriptor.media_type not in INDEXES:
            break
        what = f"{image}: index"
        chosen = choose(Index.from_json(fetched.data, what).manifests, platform, what)
        fetched = puller.manifest(str(chosen.digest), chosen)
    else:
        raise DockertoolsError(f"{image}: indexes more than {_MAX_NESTING} deep")
    manifest = Manifest.from_json(fetched.data, f"{image}: manifest")
    if manifest.config.media_type not in (OCI_CONFIG, DOCKER_CONFIG):
        raise DockertoolsError(f"{image}: not an image, but something of type {shown(manifest.config.media_type)}")
    for layer in manifest.layers:
        try:
            compressor_of(layer.media_type)
        except DockertoolsError as error:
            raise DockertoolsError(f"{image}: {error}") from None
    blob = fetch_json(puller, manifest.config, image)
    config = ImageConfig.from_json(blob, f"{image}: config")
    if strict and not config.platform.runs_on(platform):
        raise DockertoolsError(
            f"{image}: is for {config.platform}, not for {platform}: write --platform {config.platform}"
        )
    if len(config.diff_ids) != len(manifest.layers):
        raise DockertoolsError(
            f"{image}: {len(config.diff_ids)} diff_ids in its config, but {len(manifest.layers)} layers in its manifest"
        )
    return Lock(
        image,
        config.platform,
        index,
        fetched.descriptor,
        manifest.config,
        manifest.layers,
        config.container,
        blob,
        config.diff_ids,
    )


def fetch_json(puller: Puller, descriptor: Descriptor, image: RemoteImage) -> bytes:
    """A small blob, such as a config. Raises DockertoolsError when it is not small."""
    if descriptor.size > MAX_JSON_BYTES:
        raise DockertoolsError(f"{image}: a config of {descriptor.size} bytes, more than the {MAX_JSON_BYTES} read")
    out = io.BytesIO()
    puller.blob(descriptor, out)
    return out.getvalue()


def _plain(descriptor: Descriptor) -> dict[str, Any]:
    """Media type, digest and size."""
    return Descriptor(descriptor.media_type, descriptor.digest, descriptor.size).to_json()
