"""One platform's image: a config and its layers (OCI image spec 1.1, manifest.md)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from dockertools_py.errors import DockertoolsError
from dockertools_py.model import canonical_json
from dockertools_py.model.descriptor import Descriptor
from dockertools_py.model.digest import Digest
from dockertools_py.model.media_type import OCI_MANIFEST

MAX_LAYERS_READ = 1000
"""More layers than any engine mounts: a longer list is an attack, not an image."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """Descriptors of the config and of the layers, lowest layer first.

    What is no image but something about one has `artifact_type`, and that image as `subject`.
    """

    config: Descriptor
    layers: tuple[Descriptor, ...]
    annotations: Mapping[str, str] = field(default_factory=dict)
    media_type: str = OCI_MANIFEST
    artifact_type: str = ""
    subject: Descriptor | None = None

    @classmethod
    def from_json(cls, data: bytes, what: str) -> Self:
        """From a manifest's bytes; `what` names it in the error. Raises DockertoolsError."""
        value = canonical_json.decode_object(data, what)
        layers = value.get("layers")
        if not isinstance(layers, list) or len(layers) > MAX_LAYERS_READ:
            raise DockertoolsError(f"{what}: `layers` is not a list of at most {MAX_LAYERS_READ} descriptors")
        return cls(
            Descriptor.from_json(value.get("config"), f"{what}: config"),
            tuple(Descriptor.from_json(layer, f"{what}: layer {n}") for n, layer in enumerate(layers)),
        )

    def to_bytes(self) -> bytes:
        """The manifest blob."""
        value: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": self.media_type,
            "config": self.config.to_json(),
            "layers": [layer.to_json() for layer in self.layers],
        }
        if self.annotations:
            value["annotations"] = dict(self.annotations)
        if self.artifact_type:
            value["artifactType"] = self.artifact_type
        if self.subject:
            value["subject"] = self.subject.to_json()
        return canonical_json.encode(value)

    def descriptor(self) -> Descriptor:
        """The descriptor of the manifest blob itself."""
        data = self.to_bytes()
        return Descriptor(self.media_type, Digest.of(data), len(data))
