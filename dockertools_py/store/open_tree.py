"""The tree that a stack of layers makes, with the content of its files at hand, and its way into a tar."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

from dockertools_py.errors import DockertoolsError
from dockertools_py.model.digest import Digest
from dockertools_py.model.entry import Kind
from dockertools_py.pack.flat import Member
from dockertools_py.pack.layer import Layer
from dockertools_py.pack.tar import END, header, padding
from dockertools_py.pack.tree import Node, Tree
from dockertools_py.pack.verified import Buffer
from dockertools_py.store.opened_layer import OpenedLayer, open_layer

BATCH = 1 << 20
"""Small files and headers are put together: whoever hashes or writes gets this much at a time."""


class OpenTree:
    """A tree, and the opened layers that it is made of."""

    def __init__(self, layers: Sequence[OpenedLayer], labels: Sequence[str]) -> None:
        self.tree = Tree()
        self._layers = layers
        for layer, label in zip(layers, labels, strict=True):
            try:
                self.tree.apply(layer.members())
            except DockertoolsError as error:
                raise DockertoolsError(f"{label}: {error}") from error

    def content(self, node: Node) -> Iterator[Buffer]:
        """The bytes of a file. Raises DockertoolsError when its layer has fewer."""
        return self._layers[node.origin].content(node.entry, node.offset)

    def tar(self, members: Iterable[Member]) -> Iterator[Buffer]:
        """The tar of members whose nodes are this tree's."""
        parts: list[Buffer] = []
        held = 0
        for entry, node in members:
            head = header(entry)
            parts.append(head)
            held += len(head)
            if entry.kind is Kind.FILE and entry.size:
                for data in self.content(node):
                    parts.append(data)
                    held += len(data)
                    if held >= BATCH:
                        yield b"".join(parts)
                        parts, held = [], 0
                parts.append(bytes(padding(entry.size)))
                held += padding(entry.size)
            if held >= BATCH:
                yield b"".join(parts)
                parts, held = [], 0
        yield b"".join((*parts, END))

    def same_content(self, node: Node, other: "OpenTree", others: Node) -> bool:
        """Whether two entries that are alike else, and of one size, have the same bytes."""
        if node.entry.kind is not Kind.FILE or not node.entry.size:
            return True
        if self._layers[node.origin] is other._layers[others.origin] and node.offset == others.offset:
            return True
        pairs = zip_longest(_even(self.content(node)), _even(other.content(others)))
        return all(one == two for one, two in pairs)


class Opener:
    """Opens the layers of images, each layer once, however many of the images have it."""

    def __init__(self, folder: Path, zstd: str | None) -> None:
        folder.mkdir()
        self._folder, self._zstd = folder, zstd
        self._opened: dict[Digest, OpenedLayer] = {}

    def open(self, layers: Sequence[Layer]) -> OpenTree:
        """The tree of `layers`, lowest first. Raises DockertoolsError that names the layer for one that is no layer."""
        for layer in layers:
            if layer.diff_id not in self._opened:
                self._opened[layer.diff_id] = open_layer(layer, self._folder, self._zstd)
        return OpenTree([self._opened[layer.diff_id] for layer in layers], [layer.label() for layer in layers])


def _even(chunks: Iterable[Buffer], size: int = 1 << 16) -> Iterator[bytes]:
    """The same bytes in pieces of `size`, of which the last is shorter."""
    rest = b""
    for chunk in chunks:
        data = rest + chunk
        whole = len(data) - len(data) % size
        for at in range(0, whole, size):
            yield data[at : at + size]
        rest = data[whole:]
    if rest:
        yield rest
