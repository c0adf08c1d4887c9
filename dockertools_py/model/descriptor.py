"""What names a blob: media type, digest and size (OCI image spec 1.1, descriptor.md)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model.digest import Digest
from dockertools_py.model.platform import Platform


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A reference to `size` bytes with this digest."""

    media_type: str
    digest: Digest
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict)
    platform: Platform | None = None
    artifact_type: str = ""

    @classmethod
    def from_json(cls, value: Any, what: str) -> Self:
        """From an entry of a manifest or index; `what` names it in the error. Raises DockertoolsError."""
        if not isinstance(value, Mapping):
            raise DockertoolsError(f"{what}: a descriptor is an object with mediaType, digest and size")
        size, platform, notes = value.get("size"), value.get("platform"), value.get("annotations") or {}
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise DockertoolsError(f"{what}: size is {shown(size)}, not a number of bytes")
        if not isinstance(notes, Mapping):
            raise DockertoolsError(f"{what}: annotations are not an object")
        return cls(
            str(value.get("mediaType", "")),
            Digest.parse(value.get("digest"), f"{what}: digest"),
            size,
            {str(key): str(note) for key, note in notes.items()},
            Platform.from_json(platform) if isinstance(platform, Mapping) else None,
            str(value.get("artifactType") or ""),
        )

    def to_json(self) -> dict[str, Any]:
        """The spec's keys; annotations and platform only where there are some."""
        value: dict[str, Any] = {"mediaType": self.media_type, "digest": str(self.digest), "size": self.size}
        if self.annotations:
            value["annotations"] = dict(self.annotations)
        if self.platform:
            value["platform"] = self.platform.to_json()
        if self.artifact_type:
            value["artifactType"] = self.artifact_type
        return value
