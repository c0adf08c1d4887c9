"""The platform that an image is for (OCI image spec 1.1, image-index.md, "platform")."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

_VARIANTS: dict[str, dict[str, tuple[str, ...]]] = {
    # What a CPU runs, best first, by what was asked for; "" is what names no variant.
    "arm": {
        "v8": ("v8", "v7", "", "v6", "v5"),
        "": ("v7", "", "v6", "v5"),
        "v7": ("v7", "", "v6", "v5"),
        "v6": ("v6", "v5"),
    },
    "arm64": {"": ("", "v8"), "v8": ("v8", "")},
    "amd64": {
        "": ("", "v1"),
        "v1": ("v1", ""),
        "v2": ("v2", "v1", ""),
        "v3": ("v3", "v2", "v1", ""),
        "v4": ("v4", "v3", "v2", "v1", ""),
    },
}

_DEFAULTS = {"architecture": "", "os": "linux", "variant": ""}


@dataclass(frozen=True, slots=True)
class Platform:
    """Operating system, architecture in Go's words (`amd64`, `arm64`) and variant (`v8`, or empty)."""

    architecture: str
    os: str = "linux"
    variant: str = ""

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """From the keys `architecture`, `os` and `variant` of a config or an index entry; null is as if it were not there."""
        return cls(**{key: str(value.get(key) or default) for key, default in _DEFAULTS.items()})

    def to_json(self) -> dict[str, Any]:
        """The same keys; the variant only where there is one."""
        value = {"architecture": self.architecture, "os": self.os}
        return value | {"variant": self.variant} if self.variant else value

    def runs_on(self, wanted: "Platform") -> bool:
        """Whether what is for this platform runs on another: of the same processor, of its variant or one that it can run."""
        return (self.os, self.architecture) == (wanted.os, wanted.architecture) and self.variant in wanted.variants()

    def variants(self) -> tuple[str, ...]:
        """The variants that run on this one, best first (image-index.md, "Platform Variants", for arm)."""
        return _VARIANTS.get(self.architecture, {}).get(self.variant, (self.variant,))

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))
