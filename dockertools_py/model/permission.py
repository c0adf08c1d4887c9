"""What `perms` asks for: mode, owner and capabilities of what is at a path, or at all paths of a pattern."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from dockertools_py.errors import DockertoolsError
from dockertools_py.model import capability


@dataclass(frozen=True, slots=True)
class Permission:
    """One item of `perms`. What is None stays as it is."""

    path: str
    """Absolute: a path, or a pattern."""
    is_glob: bool = False
    mode: int | None = None
    uid: int | str | None = None
    """A number, or the name of a user of the image; `gid` likewise."""
    gid: int | str | None = None
    capabilities: bytes | None = None
    """The value of `security.capability`; empty to take it away."""
    recursive: bool = False
    creates: bool = False
    """Whether a directory is made where nothing is."""
    yields: bool = False
    """Whether what the base has there stays as it is."""

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """From a derivation's spec, which evaluation has checked, but for the capabilities' names."""
        text = value["capabilities"]
        try:
            capabilities = None if text is None else capability.encode(text) if text else b""
        except DockertoolsError as error:
            raise DockertoolsError(f"perms: {value['path']}: {error}") from error
        mode = value["mode"]
        return cls(
            value["path"],
            value["isGlob"],
            None if mode is None else int(mode, 8),
            value["uid"],
            value["gid"],
            capabilities,
            value["recursive"],
            value["creates"],
            value.get("yields", False),
        )
