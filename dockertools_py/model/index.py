"""A list of manifests, by platform or by name (OCI image spec 1.1, image-index.md)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from dockertools_py.errors import DockertoolsError
from dockertools_py.model import canonical_json
from dockertools_py.model.descriptor import Descriptor
from dockertools_py.model.digest import Digest
from dockertools_py.model.media_type import OCI_INDEX

MAX_MANIFESTS_READ = 1000


@dataclass(frozen=True, slots=True)
class Index:
    """Descriptors of manifests or of further indexes, in order."""

    manifests: tuple[Descriptor, ...]
    annotations: Mapping[str, str] = field(default_factory=dict)
    media_type: str = OCI_INDEX

    @classmethod
    def from_json(cls, data: bytes, what: str) -> Self:
        """From an index's bytes; `what` names it in the error. Raises DockertoolsError."""
        manifests = canonical_json.decode_object(data, what).get("manifests")
        if not isinstance(manifests, list) or len(manifests) > MAX_MANIFESTS_READ:
            raise DockertoolsError(f"{what}: `manifests` is not a list of at most {MAX_MANIFESTS_READ} descriptors")
        return cls(tuple(Descriptor.from_json(entry, f"{what}: manifest {n}") for n, entry in enumerate(manifests)))

    def to_bytes(self) -> bytes:
        """The bytes of `index.json`, or of an index blob."""
        manifests = [manifest.to_json() for manifest in self.manifests]
        value: dict[str, Any] = {"schemaVersion": 2, "mediaType": self.media_type, "manifests": manifests}
        return canonical_json.encode(value | {"annotations": dict(self.annotations)} if self.annotations else value)

    def descriptor(self) -> Descriptor:
        """The descriptor of the index as a blob."""
        data = self.to_bytes()
        return Descriptor(self.media_type, Digest.of(data), len(data))
