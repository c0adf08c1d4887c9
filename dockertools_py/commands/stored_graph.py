"""An image or an index in an archive or a layout as it is: its manifests byte for byte, and where its blobs lie."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.formats.members import Reader
from dockertools_py.model.descriptor import Descriptor
from dockertools_py.model.digest import Digest
from dockertools_py.model.index import Index
from dockertools_py.model.media_type import INDEXES, compressor_of
from dockertools_py.model.platform import Platform
from dockertools_py.model.reference import familiar
from dockertools_py.pack.bundle import CONTAINERD_NAME, REF_NAME, blob_name
from dockertools_py.registry.choice import choose
from dockertools_py.registry.content import Content, FileRange
from dockertools_py.registry.graph import Graph, walk
from dockertools_py.registry.puller import FetchedManifest

INDEX = "index.json"


@dataclass(frozen=True, slots=True)
class StoredGraph:
    """What one name in a layout leads to."""

    names: tuple[str, ...]
    graph: Graph
    contents: Mapping[Digest, Content]

    def has_plain_layers(self) -> bool:
        """Whether a layer is not compressed; artifacts have none."""
        return any(_is_plain(blob) for blob in self.graph.blobs)


def read_graph(reader: Reader, choice: str | None, platform: Platform | None = None) -> StoredGraph:
    """What is called `choice`, or all that there is; of an index only what is for `platform`.

    Raises DockertoolsError when there is no index.json, or when there are several and none is chosen.
    """
    what = reader.files.what
    if not reader.has(INDEX):
        raise DockertoolsError(f"{what}: no {INDEX} in it, so it has no manifest to be copied: use `push` or `archive`")
    entries = Index.from_json(reader.json(INDEX), f"{what}: {INDEX}").manifests
    by_digest: dict[Digest, list[Descriptor]] = {}
    for entry in entries:
        by_digest.setdefault(entry.digest, []).append(entry)
    wanted = [same for same in by_digest.values() if choice is None or any(choice in _names(entry) for entry in same)]
    if len(wanted) != 1:
        there = ", ".join(sorted({name for entry in entries for name in _names(entry)[:1]})) or "nothing with a name"
        raise DockertoolsError(
            f"{what}: {len(wanted) if choice else len(by_digest)} images {f'called {shown(choice)} ' if choice else ''}"
            f"in it: choose one, --choose NAME:TAG; there is: {shown(there, 400)}"
        )

    def fetch(descriptor: Descriptor) -> bytes:
        data = reader.json(blob_name(descriptor.digest))
        if Digest.of(data, descriptor.digest.algorithm) != descriptor.digest:
            raise DockertoolsError(f"{reader.what(blob_name(descriptor.digest))}: its bytes have another digest")
        return data

    root = replace(wanted[0][0], annotations={}, platform=None)
    fetched = FetchedManifest(root, fetch(root))
    while platform and fetched.descriptor.media_type in INDEXES:
        chosen = choose(Index.from_json(fetched.data, what).manifests, platform, what)
        fetched = FetchedManifest(chosen, fetch(chosen))
    graph = walk(fetched, fetch, what)
    names = tuple(name for entry in wanted[0] for name in _names(entry)[:1])
    return StoredGraph(names, graph, {blob.digest: _content(reader, blob) for blob in graph.blobs})


def _names(entry: Descriptor) -> list[str]:
    """The full name, the name as Docker shortens it, and the tag: whatever there is, the longest first."""
    full, short = entry.annotations.get(CONTAINERD_NAME, ""), entry.annotations.get(REF_NAME, "")
    return [name for name in (familiar(full), full, short) if name]


def _content(reader: Reader, blob: Descriptor) -> FileRange:
    path, offset, size = reader.range(blob_name(blob.digest))
    if size != blob.size:
        raise DockertoolsError(f"{reader.what(blob_name(blob.digest))}: {size} bytes, but {blob.size} were expected")
    return FileRange(str(path), offset, size)


def _is_plain(blob: Descriptor) -> bool:
    try:
        return compressor_of(blob.media_type) == "none"
    except DockertoolsError:
        return False
