"""What a push tells whoever watches it: which blobs were there, which are on their way and how far."""

from typing import Protocol

from dockertools_py.model.descriptor import Descriptor
from dockertools_py.model.digest import Digest
from dockertools_py.model.media_type import DOCKER_CONFIG, OCI_CONFIG, OCI_EMPTY

_CONFIGS = (OCI_CONFIG, DOCKER_CONFIG, OCI_EMPTY)


def label_of(blob: Descriptor) -> str:
    """What a blob is called of which nothing but its descriptor is known."""
    return f"{'config' if blob.media_type in _CONFIGS else 'layer'} {blob.digest.hex[:12]}"


class Watcher(Protocol):
    """Called from several threads. A blob is known by `label`, which is unique within a push."""

    def skipped(self, label: str, digest: Digest, size: int, why: str) -> None:
        """It need not be sent: it is `there`, or was `mounted` from another repository."""

    def begun(self, label: str, size: int | None) -> None:
        """It is on its way; `size` in bytes as they are sent, None where it is still being made."""

    def moved(self, label: str, position: int) -> None:
        """So many bytes of it were sent, which may be fewer than before when some have to be sent again."""

    def sent(self, label: str, digest: Digest, size: int) -> None:
        """The registry has it."""


class Nobody:
    """A Watcher that does not look."""

    def skipped(self, label: str, digest: Digest, size: int, why: str) -> None:
        """See Watcher."""

    def begun(self, label: str, size: int | None) -> None:
        """See Watcher."""

    def moved(self, label: str, position: int) -> None:
        """See Watcher."""

    def sent(self, label: str, digest: Digest, size: int) -> None:
        """See Watcher."""
