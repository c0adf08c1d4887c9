"""What this user pushed before: under which digest a layer went, and where to.

A file for each diff_id below $XDG_CACHE_HOME/dockertools-py/pushed. It may be deleted at any time, be written by several
processes at once (a file is replaced as a whole, and the last one wins) and be damaged: then it counts as empty. Only pairs
of a diff_id and a digest whose bytes were made or compared here are in it, so they need no further proof.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from dockertools_py.errors import DockertoolsError
from dockertools_py.model import canonical_json
from dockertools_py.model.descriptor import Descriptor
from dockertools_py.model.digest import Digest

MAX_BLOBS = 8
"""Compressions of a layer that are remembered."""
MAX_PLACES = 16
MAX_FILE = 64 << 10


@dataclass(frozen=True, slots=True)
class Pushed:
    """A blob, and the repositories (`registry/repository`) that had it, the last one first."""

    blob: Descriptor
    places: tuple[str, ...]

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """From an entry of a file. Raises DockertoolsError, KeyError or TypeError for what is none."""
        return cls(Descriptor.from_json(value["blob"], "blob"), tuple(str(place) for place in value["places"]))

    def to_json(self) -> dict[str, Any]:
        """An entry of a file."""
        return {"blob": self.blob.to_json(), "places": list(self.places)}


class Cache:
    """Remembers in `folder`; nothing where that is None or cannot be written."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """In the user's own cache (XDG base directory specification)."""
        home = environment.get("HOME")
        named = environment.get("XDG_CACHE_HOME") or (f"{home}/.cache" if home else "")
        return cls(Path(named, "dockertools-py", "pushed") if named.startswith("/") else None)

    def find(self, diff_id: Digest) -> tuple[Pushed, ...]:
        """What is known of a layer, the last one first."""
        if self._folder is None:
            return ()
        try:
            with self._file(diff_id).open("rb") as file:
                value = canonical_json.decode_object(file.read(MAX_FILE), "cache")
            return tuple(Pushed.from_json(entry) for entry in value["pushed"][:MAX_BLOBS])
        except (OSError, DockertoolsError, LookupError, TypeError, AttributeError):
            return ()

    def add(self, diff_id: Digest, blob: Descriptor, place: str) -> None:
        """Remember that the layer is at `place` as `blob`, of which the bytes are known to be the layer's."""
        if self._folder is None:
            return
        before = self.find(diff_id)
        own = next((pushed for pushed in before if pushed.blob.digest == blob.digest), None)
        if own and own == before[0] and own.places[:1] == (place,):
            return
        others = [name for name in (own.places if own else ()) if name != place]
        plain = Descriptor(blob.media_type, blob.digest, blob.size)
        entries = [Pushed(plain, (place, *others)[:MAX_PLACES]), *(pushed for pushed in before if pushed != own)]
        data = canonical_json.encode({"pushed": [entry.to_json() for entry in entries[:MAX_BLOBS]]})
        with suppress(OSError):  # a full or a read-only disk is no reason not to push
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            temporary = self._folder / f".{os.urandom(8).hex()}.tmp"
            try:
                temporary.write_bytes(data)
                temporary.rename(self._file(diff_id))
            except OSError:
                temporary.unlink(missing_ok=True)
                raise

    def _file(self, diff_id: Digest) -> Path:
        assert self._folder
        return self._folder / f"{diff_id.algorithm}-{diff_id.hex}.json"
