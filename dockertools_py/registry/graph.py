"""What a manifest or an index leads to: all that must be in a repository before it."""

from collections.abc import Callable
from dataclasses import dataclass

from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model.descriptor import Descriptor
from dockertools_py.model.digest import Digest
from dockertools_py.model.index import MAX_MANIFESTS_READ, Index
from dockertools_py.model.manifest import Manifest
from dockertools_py.model.media_type import INDEXES, MANIFESTS
from dockertools_py.registry.puller import FetchedManifest

_MAX_NESTING = 4

Fetch = Callable[[Descriptor], bytes]
"""The bytes of a manifest or an index, compared with its descriptor."""


@dataclass(frozen=True, slots=True)
class Graph:
    """Manifests, each after those that it names, the root last; and the blobs of all, each once."""

    manifests: tuple[FetchedManifest, ...]
    blobs: tuple[Descriptor, ...]

    def root(self) -> FetchedManifest:
        """What a tag names."""
        return self.manifests[-1]


def walk(root: FetchedManifest, fetch: Fetch, what: str) -> Graph:
    """All that `root` leads to. Raises DockertoolsError for what is neither manifest nor index, or too much."""
    manifests: dict[Digest, FetchedManifest] = {}
    blobs: dict[Digest, Descriptor] = {}

    def visit(fetched: FetchedManifest, depth: int) -> None:
        descriptor = fetched.descriptor
        if depth > _MAX_NESTING or len(manifests) > MAX_MANIFESTS_READ:
            raise DockertoolsError(
                f"{what}: more than {MAX_MANIFESTS_READ} manifests, or indexes more than {_MAX_NESTING} deep"
            )
        if descriptor.media_type in INDEXES:
            for entry in Index.from_json(fetched.data, f"{what}: index").manifests:
                if entry.digest not in manifests:
                    visit(FetchedManifest(entry, fetch(entry)), depth + 1)
        elif descriptor.media_type in MANIFESTS:
            manifest = Manifest.from_json(fetched.data, f"{what}: manifest")
            for blob in (manifest.config, *manifest.layers):
                blobs.setdefault(blob.digest, blob)
        else:
            raise DockertoolsError(f"{what}: {shown(descriptor.media_type)} is neither a manifest nor an index")
        manifests[descriptor.digest] = fetched

    visit(root, 0)
    return Graph(tuple(manifests.values()), tuple(blobs.values()))
