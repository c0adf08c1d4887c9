"""What a container engine is asked, and the image that it shall have."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Self

from dockertools_py.errors import DockertoolsError
from dockertools_py.model.digest import Digest
from dockertools_py.model.platform import Platform
from dockertools_py.model.reference import Reference
from dockertools_py.pack.bundle import Bundle, NamedImage, bundle
from dockertools_py.pack.layer import Layer
from dockertools_py.pack.verified import Buffer

Write = Callable[[Buffer], object]
"""Takes the next bytes of an archive."""
WriteArchive = Callable[[Write], None]
"""Writes a whole archive through the function that it is given."""


ANOTHER = "that name has another image"
"""How `Engine.lacks` begins where a load would take the name away from an image."""


class Refused(Exception):
    """An engine did not take an archive; what it said. Never seen by users as it is."""


class Unreachable(DockertoolsError):
    """No engine answers where one was looked for."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An image as it is sent: under its first name, with uncompressed layers, so that each blob's digest is its diff_id."""

    bundle: Bundle
    layers: tuple[Layer, ...]
    """Each once, lowest first."""
    diff_ids: tuple[Digest, ...]
    """Of the whole stack: a layer may be in it twice."""
    references: tuple[Reference, ...]
    image_id: Digest
    manifest: Digest
    platform: Platform

    @classmethod
    def of(cls, named: NamedImage) -> Self:
        """Raises DockertoolsError for an image without a name."""
        if not named.references:
            raise DockertoolsError("the image has no name, by which an engine could find it: give it one, -t NAME:TAG")
        whole = bundle([NamedImage(named.image, named.references[:1])], {}, plain=True)
        layers = {layer.diff_id: layer for layer in named.image.layers}
        return cls(
            whole,
            tuple(layers.values()),
            named.image.config.diff_ids,
            tuple(dict.fromkeys(named.references)),
            named.image.image_id(),
            whole.blobs[0].descriptor.digest,
            named.image.config.platform,
        )

    def without(self, left_out: AbstractSet[Digest]) -> Bundle:
        """What is sent where an engine has some layers: everything names them, and they are not there."""
        return replace(self.bundle, blobs=tuple(b for b in self.bundle.blobs if b.descriptor.digest not in left_out))


@dataclass(frozen=True, slots=True)
class Held:
    """Layers that may be left out, each with where the engine has it; and why the others are sent."""

    layers: Mapping[Digest, str] = field(default_factory=dict)
    otherwise: str = "not there"


class Engine(ABC):
    """A container engine. Every method raises DockertoolsError when nobody answers, or answers nonsense."""

    @abstractmethod
    def title(self) -> str:
        """What it is, and where, for people."""

    def platform(self) -> Platform:
        """What it runs: of an index the image for it is sent. As a rule that is what runs here."""
        return Platform.of_machine(os.uname().machine)

    @abstractmethod
    def lacks(self, reference: Reference, wanted: Wanted) -> str | None:
        """What is wrong with the image under that name, in some words; None when it is `wanted`, all of it."""

    @abstractmethod
    def elsewhere(self, wanted: Wanted) -> str | None:
        """The name or id under which all of `wanted` is there."""

    @abstractmethod
    def held(self, wanted: Wanted) -> Held:
        """The layers of `wanted` that it has, as far as it tells."""

    @abstractmethod
    def send(self, write_archive: WriteArchive) -> None:
        """Have it load an archive. Raises Refused when it says that it did not."""

    @abstractmethod
    def tag(self, source: str, reference: Reference) -> None:
        """Give another name to an image that it has."""

    def name_of(self, reference: Reference) -> str:
        """The name by which its own commands know the image."""
        return str(reference)

    @abstractmethod
    def run_command(
        self, reference: Reference, options: Sequence[str], arguments: Sequence[str], *, terminal: bool
    ) -> list[str]:
        """The command that runs a container of an image that is there, and removes it at its end."""
