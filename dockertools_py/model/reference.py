"""Image references, `registry/repository:tag` (distribution spec 1.1, "Pulling manifests"; Docker's rules for names)."""

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from dockertools_py.errors import DockertoolsError, shown

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REGISTRY = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*(?::[0-9]+)?"
_NAME = re.compile(rf"(?:{_REGISTRY}/)?{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
MAX_NAME = 255


@dataclass(frozen=True, slots=True)
class Reference:
    """A name, with its registry if it has one, and a tag."""

    name: str
    tag: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """From `name:tag`, or `name` alone for the tag `latest`. Raises DockertoolsError."""
        head, colon, tail = text.rpartition(":")
        name, tag = (head, tail) if colon and "/" not in tail else (text, "latest")
        return cls.of(name, tag)

    @classmethod
    def of(cls, name: str, tag: str) -> Self:
        """From the two parts, checked. Raises DockertoolsError."""
        if len(name) > MAX_NAME or not _NAME.fullmatch(name):
            raise DockertoolsError(
                f"image name {shown(name)!r}: write lower-case letters and digits, with single . _ - between them "
                f"and / between parts, at most {MAX_NAME} characters"
            )
        if not _TAG.fullmatch(tag):
            raise DockertoolsError(
                f"image tag {shown(tag)!r}: write up to 128 letters, digits, . _ -, not beginning with . or -"
            )
        return cls(name, tag)

    def normalised(self) -> str:
        """The full name that containerd wants: `docker.io/library/foo:1` for `foo:1`."""
        first, slash, _ = self.name.partition("/")
        if not slash:
            return f"docker.io/library/{self}"
        if "." in first or ":" in first or first == "localhost":
            return str(self)
        return f"docker.io/{self}"

    def __str__(self) -> str:
        return f"{self.name}:{self.tag}"


def familiar(name: str) -> str:
    """A name as Docker shortens it: without its own registry, which `Reference.normalised` writes out."""
    return name.removeprefix("docker.io/").removeprefix("library/")


def parse_all(names: Iterable[str]) -> tuple[Reference, ...]:
    """References of names as archives and layouts have them, where Docker's own registry may be written out.

    A name in a layout may be anything, often only a tag (OCI image spec 1.1, annotations.md, "ref.name"): those that are
    no references are left out.
    """
    references = []
    for name in names:
        short = familiar(name)
        if ":" in short or "/" in short:
            with suppress(DockertoolsError):
                references.append(Reference.parse(short))
    return tuple(references)
