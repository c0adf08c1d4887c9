"""The platform that an image is for (OCI image spec 1.1, image-index.md, "platform")."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from dockertools_py.errors import DockertoolsError, shown

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

_MACHINES = {
    # As the kernel calls them (uname -m).
    "x86_64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "i686": ("386", ""),
    "ppc64le": ("ppc64le", ""),
    "loongarch64": ("loong64", ""),
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

    @classmethod
    def parse(cls, text: str) -> Self:
        """From `os/architecture[/variant]`, as in `linux/arm64/v8`, in Go's words. Raises DockertoolsError."""
        parts = text.lower().split("/")
        if len(parts) not in (2, 3) or not all(part.isascii() and part.replace("_", "").isalnum() for part in parts):
            raise DockertoolsError(f"platform {shown(text)!r}: write os/architecture, as in linux/amd64 or linux/arm/v7")
        known = cls.of_machine(parts[1])
        if known.architecture != parts[1]:
            raise DockertoolsError(f"platform {shown(text)!r}: write {parts[0]}/{str(known).partition('/')[2]}, as Go calls it")
        return cls(parts[1], parts[0], parts[2] if len(parts) == 3 else "")

    @classmethod
    def of_machine(cls, machine: str) -> Self:
        """That of Linux on a machine which its kernel calls so; a name that is not known here is taken as it is."""
        architecture, variant = _MACHINES.get(machine, (machine, ""))
        return cls(architecture, variant=variant)

    def to_json(self) -> dict[str, Any]:
        """The same keys; the variant only where there is one."""
        value = {"architecture": self.architecture, "os": self.os}
        return value | {"variant": self.variant} if self.variant else value

    def runs_on(self, wanted: "Platform") -> bool:
        """Whether what is for this platform runs on another: of the same processor, of its variant or one that it can run."""
        return (self.os, self.architecture) == (wanted.os, wanted.architecture) and self.variant in wanted.variants()

    def best_of(self, offered: Iterable["Platform"]) -> "Platform | None":
        """The one that runs best on this one, or None if none does."""
        order = self.variants()
        fitting = [one for one in offered if one.runs_on(self)]
        return min(fitting, key=lambda one: order.index(one.variant), default=None)

    def variants(self) -> tuple[str, ...]:
        """The variants that run on this one, best first (image-index.md, "Platform Variants", for arm)."""
        return _VARIANTS.get(self.architecture, {}).get(self.variant, (self.variant,))

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))
