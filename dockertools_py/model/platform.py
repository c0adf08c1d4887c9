"""The platform that an image is for (OCI image spec 1.1, image-index.md, "platform")."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Platform:
    """Operating system, architecture in Go's words (`amd64`, `arm64`) and variant (`v8`, or empty)."""

    architecture: str
    os: str = "linux"
    variant: str = ""

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """From the keys `architecture`, `os` and `variant` of a config or an index entry."""
        return cls(str(value.get("architecture", "")), str(value.get("os", "linux")), str(value.get("variant", "")))

    def to_json(self) -> dict[str, Any]:
        """The same keys; the variant only where there is one."""
        value = {"architecture": self.architecture, "os": self.os}
        return value | {"variant": self.variant} if self.variant else value

    def is_for(self, other: "Platform") -> bool:
        """Whether both are one platform: arm64 without a variant is v8 (image-index.md, "Platform Variants")."""
        return self._full() == other._full()

    def _full(self) -> tuple[str, str, str]:
        return self.os, self.architecture, self.variant or ("v8" if self.architecture == "arm64" else "")

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))
