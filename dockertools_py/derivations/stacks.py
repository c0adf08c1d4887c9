"""What images have outside the store, stacked from the notes in their descriptions."""

import hashlib
import os
from collections.abc import Container, Iterable, Iterator
from pathlib import Path

from dockertools_py.model.digest import Digest
from dockertools_py.pack.layer import BlobSource, Layer, RootSource, Source
from dockertools_py.pack.layer_content import is_place
from dockertools_py.pack.sparse import MAX_HOLES, filled
from dockertools_py.pack.tar_reader import ChunkStream, TarMember, members
from dockertools_py.pack.tree import Node, Tree
from dockertools_py.pack.verified import Buffer
from dockertools_py.store.description import read_layers, read_places
from dockertools_py.store.produce import READ_SIZE, entries, tar_chunks
from dockertools_py.store.walk import EXECUTABLE

STORE_DIRECTORY = b"/nix/store/"
EMPTY = hashlib.sha256().hexdigest()


class Stack:
    """A tree of layers, which knows for each of its nodes the image that it is from, and finds its content when asked."""

    def __init__(self, zstd: str | None = None) -> None:
        self._zstd = zstd
        self.tree = Tree()
        self._layers: list[Layer] = []
        self._images: list[int] = []
        self._digests: dict[int, list[str]] = {}
        self._known: set[Digest] = set()

    def add(self, folders: Iterable[Path], image: int, *, again: bool = False, shared: Container[Digest] = ()) -> None:
        """Stack the layers of an image that are not there yet, as composing does; with `again` all but those `shared`."""
        for folder in folders:
            layers = read_layers(folder)
            for number, places in read_places(folder):
                layer = layers[number]
                if layer.diff_id not in self._known or (again and layer.diff_id not in shared):
                    self._known.add(layer.diff_id)
                    self._layers.append(layer)
                    self._images.append(image)
                    self.tree.apply((entry, place) for place, entry in enumerate(places))

    def diff_ids(self) -> tuple[Digest, ...]:
        """Of its layers, lowest first."""
        return tuple(layer.diff_id for layer in self._layers)

    def layer_of(self, node: Node) -> Digest:
        """The diff_id of the layer that says what a node shows."""
        return self._layers[node.layer].diff_id

    def has_layer(self, diff_id: Digest) -> bool:
        """Whether a layer is in the stack."""
        return diff_id in self._known

    def image_of(self, node: Node) -> int:
        """The number of the image that says what a node shows."""
        return self._images[node.layer]

    def shown(self, name: bytes) -> str:
        """What reading a path gives, links followed, and whether it can be run; where it leads to nothing, the way there.

        A layer is read once.
        """
        there = self.tree.resolve(name)
        node = self.tree.get(there)
        if node is None:
            path = b"/" + there
            if not (path.startswith(STORE_DIRECTORY) and os.path.isfile(path)):
                return f"link to {os.fsdecode(path)}"
            return _as_run(_file_digest(path), os.stat(path).st_mode)
        if node.is_directory():
            return f"the directory {os.fsdecode(there)}"
        return _as_run(self._digest(node) if node.entry.size else EMPTY, node.entry.mode)

    def _digest(self, node: Node) -> str:
        number, place = node.place
        if number not in self._digests:
            self._digests[number] = list(_digests(self._layers[number].source, self._zstd))
        return self._digests[number][place]


def _digests(source: Source, zstd: str | None) -> Iterator[str]:
    """For each entry outside the store, in order, the digest of its content; nothing where it has none."""
    if isinstance(source, BlobSource):
        stream = ChunkStream(tar_chunks(source, zstd))
        for member in members(stream):
            if is_place(member.entry()):
                yield _member_digest(stream, member) if member.size else ""
    elif isinstance(source, RootSource):
        for entry in entries(source):
            yield _file_digest(entry.path) if entry.size else ""


def _as_run(digest: str, mode: int) -> str:
    return f"{digest} {'executable' if mode & EXECUTABLE else ''}"


def _member_digest(stream: ChunkStream, member: TarMember) -> str:
    """Of a file's content. One with more holes than anybody makes zeros of is known by its map and what is stored."""
    if member.segments is None:
        return _digest(_next(stream, member.size))
    stored = sum(length for _, length in member.segments)
    chunks = _next(stream, stored)
    if member.size - stored > MAX_HOLES:
        return f"sparse {member.size} {member.segments} {_digest(chunks)}"
    return _digest(filled(chunks, member.size, member.segments))


def _next(stream: ChunkStream, size: int) -> Iterator[bytes]:
    while size and (data := stream.read(min(size, READ_SIZE))):
        size -= len(data)
        yield data


def _digest(chunks: Iterable[Buffer]) -> str:
    hasher = hashlib.sha256()
    for chunk in chunks:
        hasher.update(chunk)
    return hasher.hexdigest()


def _file_digest(path: bytes) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
