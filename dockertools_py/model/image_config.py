"""The config blob of an image, whose digest is the image id (OCI image spec 1.1, config.md)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model import canonical_json, container_config
from dockertools_py.model.container_config import ContainerConfig
from dockertools_py.model.digest import Digest
from dockertools_py.model.platform import Platform

DEFAULT_CREATED = "1970-01-01T00:00:01Z"
"""The store's own mtime. Never the clock: two builds of one expression must be equal."""

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


@dataclass(frozen=True, slots=True)
class History:
    """What a layer is from; `empty_layer` for a step of a Dockerfile that made none."""

    created: str = DEFAULT_CREATED
    created_by: str = ""
    comment: str = ""
    empty_layer: bool = False

    @classmethod
    def from_json(cls, value: Any, what: str) -> Self:
        """From an entry of `history`. Raises DockertoolsError."""
        if not isinstance(value, Mapping):
            raise DockertoolsError(f"{what}: an entry of `history` is {shown(value)}, not an object")
        created, created_by, comment = (str(value.get(key) or "") for key in ("created", "created_by", "comment"))
        return cls(created, created_by, comment, bool(value.get("empty_layer")))

    def to_json(self) -> dict[str, Any]:
        """The spec's keys, those with a value only."""
        value: dict[str, Any] = {"created": self.created, "created_by": self.created_by, "comment": self.comment}
        value = {key: text for key, text in value.items() if text}
        return value | {"empty_layer": True} if self.empty_layer else value


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """Platform, container config, diff_ids and history of an image."""

    platform: Platform
    container: ContainerConfig = field(default_factory=dict)
    created: str = DEFAULT_CREATED
    author: str = ""
    diff_ids: tuple[Digest, ...] = ()
    history: tuple[History, ...] = ()
    blob: bytes = field(default=b"", compare=False, repr=False)
    """As others wrote it: an image that nothing is changed in keeps its id. Who replaces anything drops it."""

    @classmethod
    def from_json(cls, data: bytes, what: str) -> Self:
        """From a config blob; `what` names it in the error. Raises DockertoolsError."""
        value = canonical_json.decode_object(data, what)
        rootfs, history = value.get("rootfs"), value.get("history") or []
        if not isinstance(rootfs, Mapping) or not isinstance(rootfs.get("diff_ids") or [], list):
            raise DockertoolsError(f"{what}: no `rootfs` with a list of diff_ids: not the config of an image")
        if not isinstance(history, list):
            raise DockertoolsError(f"{what}: `history` is not a list")
        return cls(
            Platform.from_json(value),
            container_config.parse(value.get("config"), what),
            str(value.get("created") or DEFAULT_CREATED),
            str(value.get("author") or ""),
            tuple(Digest.parse(text, f"{what}: diff_id {n}") for n, text in enumerate(rootfs.get("diff_ids") or [])),
            tuple(History.from_json(entry, what) for entry in history),
            data,
        )

    def to_bytes(self) -> bytes:
        """The config blob; its digest is the image id."""
        if self.blob:
            return self.blob
        value: dict[str, Any] = {
            **self.platform.to_json(),
            "created": self.created,
            "config": dict(self.container),
            "rootfs": {"type": "layers", "diff_ids": [str(diff_id) for diff_id in self.diff_ids]},
            "history": [entry.to_json() for entry in self.history],
        }
        return canonical_json.encode(value | {"author": self.author} if self.author else value)


def parse_created(text: str) -> str:
    """A date as the spec wants it, RFC 3339. Raises DockertoolsError."""
    if not _RFC3339.fullmatch(text):
        raise DockertoolsError(f"created is {shown(text)!r}: write a date like {DEFAULT_CREATED}")
    return text
