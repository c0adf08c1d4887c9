"""Podman by its program: it needs no daemon. It keeps layers by digest, and shows which images have which."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from dockertools_py.engines.engine import Engine, Held, Wanted, WriteArchive
from dockertools_py.engines.programs import answer, ask, feed
from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model.digest import Digest
from dockertools_py.model.reference import Reference


class Podman(Engine):
    """`command` is the program, with options that every call gets."""

    def __init__(self, command: Sequence[str] = ("podman",)) -> None:
        self._command = tuple(command)
        self._is_elsewhere = False
        """Whether the image was there under whatever name, when its own one was asked for: to ask again takes 40 ms."""

    def title(self) -> str:
        """See Engine."""
        return "Podman"

    def lacks(self, reference: Reference, wanted: Wanted) -> str | None:
        """See Engine."""
        name = reference.normalised()
        found = {str(image.get("Id")): _texts(image.get("RepoTags")) for image in self._inspect(name, wanted.image_id.hex)}
        self._is_elsewhere = wanted.image_id.hex in found
        if name in found.get(wanted.image_id.hex, ()):
            return None
        for image_id in found:
            if image_id != wanted.image_id.hex:
                return f"that name has another image, {shown(image_id, 64)}"
        return "there is no image of that name"

    def elsewhere(self, wanted: Wanted) -> str | None:
        """See Engine."""
        return wanted.image_id.hex if self._is_elsewhere else None

    def held(self, wanted: Wanted) -> Held:
        """See Engine."""
        ids = answer([*self._command, "images", "--all", "--quiet", "--no-trunc"]).split()
        if not ids:
            return Held()
        layers = {str(layer.diff_id): layer.diff_id for layer in wanted.layers}
        held: dict[Digest, str] = {}
        for image in self._inspect(*dict.fromkeys(ids)):
            root = image.get("RootFS")
            name = next(iter(_texts(image.get("RepoTags"))), str(image.get("Id"))[:12])
            for text in _texts(root.get("Layers")) if isinstance(root, dict) else ():
                if text in layers:
                    held.setdefault(layers[text], f"in {shown(name, 80)}")
        return Held(held)

    def send(self, write_archive: WriteArchive) -> None:
        """See Engine."""
        feed([*self._command, "load", "--quiet"], write_archive)

    def tag(self, source: str, reference: Reference) -> None:
        """See Engine."""
        answer([*self._command, "tag", source, reference.normalised()])

    def name_of(self, reference: Reference) -> str:
        """In full: of a short name Podman may ask which registry is meant."""
        return reference.normalised()

    def run_command(
        self, reference: Reference, options: Sequence[str], arguments: Sequence[str], *, terminal: bool
    ) -> list[str]:
        """See Engine."""
        flags = ["--rm", "--interactive", *(["--tty"] if terminal else [])]
        return [*self._command, "run", *flags, *options, self.name_of(reference), *arguments]

    def _inspect(self, *names: str) -> list[Mapping[str, Any]]:
        """What there is of `names`; Podman lists it, and fails for the others."""
        output = ask([*self._command, "image", "inspect", *names])
        try:
            found = json.loads(output.stdout or b"[]")
        except (ValueError, RecursionError):
            found = None
        known = "image not known" in output.stderr or "no such image" in output.stderr.lower()
        if not isinstance(found, list) or (output.code and not known):
            raise DockertoolsError(f"podman image inspect: {output.stderr or 'no list of images came'}")
        return [image for image in found if isinstance(image, dict)]


def _texts(value: object) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []
