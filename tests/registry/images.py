"""Images as a registry has them: manifests by tag and digest, blobs by digest."""

import json
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.oracle.image import INDEX, MANIFEST, Handmade, blob, descriptor, digest, encode, layer_of

ARM64 = {"architecture": "arm64", "os": "linux", "variant": "v8"}
AMD64 = {"architecture": "amd64", "os": "linux"}


@dataclass
class Content:
    """What one repository holds."""

    manifests: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)

    def publish(self, image: Handmade, *tags: str) -> dict[str, Any]:
        """An image under tags; the descriptor of its manifest."""
        config = encode(image.config_value())
        manifest = encode(image.manifest_value(config))
        for data in (config, *image.stored()):
            self.blobs[digest(data)] = data
        return self.add(manifest, MANIFEST, *tags)

    def add(self, manifest: bytes, media_type: str, *tags: str) -> dict[str, Any]:
        """A manifest or an index as it is."""
        for name in (*tags, digest(manifest)):
            self.manifests[name] = manifest, media_type
        return descriptor(manifest, media_type)

    def publish_index(self, *entries: dict[str, Any], tags: tuple[str, ...] = ("latest",)) -> dict[str, Any]:
        """An index of descriptors."""
        data = encode({"schemaVersion": 2, "mediaType": INDEX, "manifests": list(entries)})
        return self.add(data, INDEX, *tags)

    def manifest(self, name: str) -> Any:
        return json.loads(self.manifests[name][0])


def image(text: str = "content", *, size: int = 0, **platform: str) -> Handmade:
    """A small image of two layers, of which the second is compressed; `size` bytes more in the first."""
    noise = Random(text).randbytes(size)
    layers = [layer_of("etc/", "etc/one", text=text.encode() + noise), layer_of("etc/", "etc/two", text=text.encode())]
    made = Handmade(layers=layers, compressed=frozenset({1}))
    if platform:
        made.config_value = lambda: Handmade.config_value(made) | platform  # type: ignore[method-assign]
    return made


def several_platforms(salt: str = "") -> Content:
    """`latest` is for amd64 and arm64, and has an attestation as Docker makes them; `amd64` and `arm64` name the two."""
    content = Content()
    arm = content.publish(image("for arm" + salt, **ARM64), "arm64")
    amd = content.publish(image("for amd" + salt), "amd64")
    unknown = {"architecture": "unknown", "os": "unknown"}
    content.publish_index(
        arm | {"platform": ARM64}, amd | {"platform": AMD64}, amd | {"platform": unknown, "size": amd["size"]}
    )
    return content


def layout_files(made: Handmade) -> dict[str, bytes]:
    """For skopeo."""
    return {name: data for name, data in made.files().items() if name.startswith("blobs/") or "manifest" not in name}


__all__ = ["AMD64", "ARM64", "Content", "blob", "digest", "encode", "image", "layout_files", "several_platforms"]
