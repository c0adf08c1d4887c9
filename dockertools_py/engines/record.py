"""Which images were seen in engines, so that these can be asked for first.

Docker with containerd's image store keeps each blob as it came and tells the diff_ids of an image, not the digests of its
blobs; of an image that we sent they are equal. So each manifest that an engine was seen to have in full is noted here, by an
empty file of that name. Podman, which tells everything and slowly, is asked for the images that it had last. A lost note
costs one load in full, or some questions; nothing else is ever done with it.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self

from dockertools_py.errors import DockertoolsError
from dockertools_py.model.digest import Digest

MAX_NOTES = 1000
"""The oldest go first."""


class Record:
    """Notes in a folder; without a folder none."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], name: str = "loaded") -> Self:
        """`name` below XDG_CACHE_HOME, which is ~/.cache if it is not set."""
        cache, home = environment.get("XDG_CACHE_HOME"), environment.get("HOME")
        folder = Path(cache) if cache else Path(home) / ".cache" if home else None
        return cls(folder / "dockertools-py" / name if folder else None)

    def has(self, digest: Digest) -> bool:
        """Whether it was noted."""
        return self._folder is not None and (self._folder / digest.hex).exists()

    def newest(self) -> list[Digest]:
        """All that are noted, that which was seen last first."""
        found = []
        for note in reversed(self._notes()):
            with suppress(DockertoolsError):  # somebody else's file
                found.append(Digest.parse(f"sha256:{note.name}"))
        return found

    def add(self, digest: Digest) -> None:
        """Note it, or that it was seen again, as far as that can be done."""
        if self._folder is None:
            return
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            is_new = not self.has(digest)
            (self._folder / digest.hex).touch()
            for note in self._notes()[:-MAX_NOTES] if is_new else ():
                with suppress(OSError):  # another load takes them away too
                    os.unlink(note)

    def _notes(self) -> list["os.DirEntry[str]"]:
        """From the oldest to the newest."""
        found = []
        with suppress(OSError):
            for note in os.scandir(self._folder) if self._folder else ():
                with suppress(OSError):  # as above
                    found.append((note.stat().st_mtime_ns, note.name, note))
        return [note for *_, note in sorted(found, key=lambda one: one[:2])]
