"""What lies below the layer at `/`: its tree outside the store, from the notes in descriptions, and what its files hold.

Descriptions are small, so the tree costs little. Contents are asked for seldom, and only the layer that has one is read. For
accounts, which nearly all ask for, a compressed layer is uncompressed up to the last of their few files and nothing
is written; so a base of a gigabyte is no hindrance. Only for files that are copied it is opened as a whole.
"""

import os
from collections.abc import Container, Iterable
from itertools import count
from pathlib import Path

from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model.digest import Digest
from dockertools_py.model.entry import Entry, Kind
from dockertools_py.model.media_type import OCI_LAYER
from dockertools_py.pack.accounts import MODES
from dockertools_py.pack.draft import MAX_TEXT
from dockertools_py.pack.layer import BlobSource, Layer
from dockertools_py.pack.layer_content import is_place
from dockertools_py.pack.tar_reader import ChunkStream, members
from dockertools_py.pack.tree import Node, Place, Tree
from dockertools_py.store.description import read_layers, read_places
from dockertools_py.store.open_tree import Opener, OpenTree
from dockertools_py.store.opened_layer import OpenedLayer, open_layer
from dockertools_py.store.produce import tar_chunks


class Below:
    """The layers that `folders` describe, lowest first; with `only` those of them.

    `scratch`, which is not there yet, is for what is uncompressed.
    """

    def __init__(
        self, folders: Iterable[Path], scratch: Path, zstd: str | None, only: Container[Digest] | None = None
    ) -> None:
        self.tree = Tree()
        self._layers: list[Layer] = []
        self._all: list[Layer] = []
        self._opened: dict[int, tuple[OpenedLayer, dict[bytes, tuple[Entry, int]]]] = {}
        self._scratch, self._zstd = scratch, zstd
        self._small: dict[Place, bytes] = {}
        self._copies = count()
        self._whole: OpenTree | None = None
        for folder in folders:
            layers = read_layers(folder)
            self._all += layers
            for number, places in read_places(folder):
                if only is not None and layers[number].diff_id not in only:
                    continue
                self._layers.append(layers[number])
                self.tree.apply((entry, place) for place, entry in enumerate(places))

    def read(self, node: Node) -> bytes:
        """See pack.draft.Contents."""
        if node.entry.data or not (node.entry.size or node.entry.link):
            return node.entry.data
        if node.entry.path:
            return Path(os.fsdecode(node.entry.path)).read_bytes()
        if node.origin not in self._opened and node.place not in self._small:
            self._read_small(node)
        if node.place in self._small:
            return self._small[node.place]
        layer, entry, offset = self._find(node)
        if node.entry.link and entry.size > MAX_TEXT:  # a size that nobody has seen before
            return bytes(MAX_TEXT + 1)
        return b"".join(map(bytes, layer.content(entry, offset)))

    def copied(self, node: Node) -> tuple[bytes, int]:
        """See pack.draft.Contents."""
        layer, entry, offset = self._find(node)
        path = self._folder("copied") / str(next(self._copies))
        with path.open("xb") as file:
            for chunk in layer.content(entry, offset):
                file.write(chunk)
        return os.fsencode(path), entry.size

    def stored(self, name: bytes) -> bytes | None:
        """See pack.draft.Contents. A base of any origin has its store in its layers; ours are read from the store itself."""
        path = "/" + os.fsdecode(name)
        if not any(path.startswith(have + "/") or path == have for layer in self._all for have in layer.store_paths):
            if not os.path.isfile(path):
                return None
            with open(path, "rb") as file:
                return file.read(MAX_TEXT + 1)
        if self._whole is None:
            self._whole = Opener(self._folder("whole") / "layers", self._zstd).open(self._all)
        node = self._whole.tree.get(self._whole.tree.resolve(name))
        if node is None or node.entry.kind is not Kind.FILE:
            return None
        return b"".join(map(bytes, self._whole.content(node))) if node.entry.size <= MAX_TEXT else bytes(MAX_TEXT + 1)

    def _read_small(self, asked: Node) -> None:
        """Note what the files of accounts and `asked` hold that are in one compressed layer; not where it takes more."""
        source = self._layers[asked.origin].source
        if not isinstance(source, BlobSource) or source.media_type == OCI_LAYER:
            return
        there = (self.tree.get(self.tree.resolve(name.encode())) for name in MODES)
        wanted = {
            node.offset: node.entry for node in (*there, asked) if node is not None and node.origin == asked.origin
        }
        stream = ChunkStream(tar_chunks(source, self._zstd))
        outside = (member for member in members(stream) if is_place(member.entry()))
        for place, member in enumerate(outside):
            expected = wanted.pop(place, None)
            if expected is None:
                continue
            entry = member.entry()
            is_it = (entry.name, entry.kind, entry.size) == (expected.name, Kind.FILE, expected.size)
            if is_it and member.segments is None and entry.size <= MAX_TEXT:
                self._small[asked.origin, place] = stream.read(entry.size)
            if not wanted:
                break

    def _find(self, node: Node) -> tuple[OpenedLayer, Entry, int]:
        """The layer that has the content of a node, and where in it."""
        label = self._layers[node.origin].label()
        if node.origin not in self._opened:
            layer = open_layer(self._layers[node.origin], self._folder(str(node.origin)), self._zstd)
            found = {entry.name: (entry, offset) for entry, offset in layer.members() if is_place(entry)}
            self._opened[node.origin] = layer, found
        layer, members = self._opened[node.origin]
        name = node.entry.name
        entry, offset = members.get(name, (None, 0))
        if entry is not None and entry.kind is Kind.HARDLINK:
            target = entry.link
            entry, offset = members.get(target, (None, 0))
            if node.entry.link:  # in the store, of which nobody else asks
                entry, offset = next((found for found in layer.members() if found[0].name == target), (None, 0))
        has_size = entry is not None and (entry.size == node.entry.size or bool(node.entry.link))
        if entry is None or entry.kind is not Kind.FILE or not has_size:
            raise DockertoolsError(f"{label}: {shown(name)} is not in it as it was described")
        return layer, entry, offset

    def _folder(self, name: str) -> Path:
        folder = self._scratch / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder
