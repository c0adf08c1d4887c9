"""Podman by its program: it needs no daemon. It keeps layers by digest, and shows which images have which."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dockertools_py.engines.engine import ANOTHER, Engine, Held, Wanted, WriteArchive
from dockertools_py.engines.programs import answer, ask, feed
from dockertools_py.engines.record import Record
from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model.digest import Digest
from dockertools_py.model.platform import Platform
from dockertools_py.model.reference import Reference

LIKELY = 2
"""Images of those that were loaded last of which the layers are looked at together with the name: 4 ms each."""
WORTH_SEARCHING = 10 << 20
"""To list all images and to look at each of them takes some hundred milliseconds, in which so many bytes could be sent."""


class Podman(Engine):
    """`command` is the program, with options that every call gets; `record` has the ids of images that it had."""

    def __init__(self, command: Sequence[str] = ("podman",), record: Record | None = None) -> None:
        self._command = tuple(command)
        self._record = record or Record(None)
        self._seen: list[Mapping[str, Any]] | None = None
        """The image, and some that are like it, as they were when a name was asked for: each question takes 40 ms."""

    def title(self) -> str:
        """See Engine."""
        return "Podman"

    def platform(self) -> Platform:
        """See Engine. CONTAINER_HOST may be another machine."""
        return Platform.of_machine(answer([*self._command, "info", "--format", "{{.Host.Arch}}"]).strip())

    def lacks(self, reference: Reference, wanted: Wanted) -> str | None:
        """See Engine."""
        name, own = reference.normalised(), wanted.image_id.hex
        likely = [] if self._seen is not None else [image_id.hex for image_id in self._record.newest()[:LIKELY]]
        try:
            found = self._inspect(*dict.fromkeys([name, own, *likely]))
        except DockertoolsError:
            if not likely:
                raise
            found = self._inspect(name, own)  # one of the others cannot be read, which is not what was asked
        self._seen = found if self._seen is None else self._seen
        named = {str(image.get("Id")) for image in found if name in _texts(image.get("RepoTags"))}
        if own in named:
            self._record.add(wanted.image_id)
            return None
        return f"{ANOTHER}, {shown(named.pop(), 64)}" if named else "there is no image of that name"

    def elsewhere(self, wanted: Wanted) -> str | None:
        """See Engine."""
        seen = self._seen if self._seen is not None else self._inspect(wanted.image_id.hex)
        return wanted.image_id.hex if any(image.get("Id") == wanted.image_id.hex for image in seen) else None

    def held(self, wanted: Wanted) -> Held:
        """See Engine."""
        if self._seen is not None:
            likely = _layers_in(self._seen, wanted)
            if sum(layer.size for layer in wanted.layers if layer.diff_id not in likely) < WORTH_SEARCHING:
                return Held(likely, "in no image that was looked at")
        ids = answer([*self._command, "images", "--all", "--quiet", "--no-trunc"]).split()
        return Held(_layers_in(self._inspect(*dict.fromkeys(ids)), wanted) if ids else {})

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
        flags = ["--pull=never", "--rm", "--interactive", *(["--tty"] if terminal else [])]
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


def _layers_in(images: Iterable[Mapping[str, Any]], wanted: Wanted) -> dict[Digest, str]:
    """The layers of `wanted` that some images have, each with where."""
    layers = {str(layer.diff_id): layer.diff_id for layer in wanted.layers}
    held: dict[Digest, str] = {}
    for image in images:
        root = image.get("RootFS")
        name = next(iter(_texts(image.get("RepoTags"))), str(image.get("Id"))[:12])
        for text in _texts(root.get("Layers")) if isinstance(root, dict) else ():
            if text in layers:
                held.setdefault(layers[text], f"in {shown(name, 80)}")
    return held
