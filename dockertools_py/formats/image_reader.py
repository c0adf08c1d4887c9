"""Reading an image that others wrote: a docker archive, or an OCI layout as directory or archive.

Nothing is unpacked. The outer tar is indexed once; each layer is read once from its place, to compare its digests with
what config and manifest say and to learn from its headers which store paths it holds whole.
"""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from dockertools_py.errors import DockertoolsError
from dockertools_py.formats.members import Reader
from dockertools_py.formats.named_by_digest import algorithm_of, check_name, checked_json
from dockertools_py.formats.stored_images import StoredImage
from dockertools_py.model.digest import Digest
from dockertools_py.model.entry import Entry
from dockertools_py.model.image_config import ImageConfig
from dockertools_py.model.media_type import LAYER_OF_COMPRESSOR
from dockertools_py.pack.decompression import MAGIC_SIZE, compressor_of, decompress
from dockertools_py.pack.image import Image
from dockertools_py.pack.layer import BlobSource, Layer
from dockertools_py.pack.layer_content import LayerContent, content_of, hidden_paths, whole_paths
from dockertools_py.pack.tar_reader import ChunkStream, FileStream, members
from dockertools_py.pack.verified import Buffer
from dockertools_py.parallel import beside

WORTH_A_PROCESS = 4 << 20
"""Bytes that take longer to be hashed than a process takes to be made."""


def read_image(reader: Reader, stored: StoredImage, zstd: str | None = None) -> Image:
    """The image with all its digests checked. Raises DockertoolsError naming file and member for any that is wrong."""
    return read_image_and_places(reader, stored, zstd)[0]


def read_config(reader: Reader, stored: StoredImage) -> ImageConfig:
    """Its config alone, checked likewise."""
    return ImageConfig.from_json(checked_json(reader, stored.config), reader.what(stored.config))


def read_image_and_places(
    reader: Reader, stored: StoredImage, zstd: str | None = None
) -> tuple[Image, tuple[tuple[Entry, ...], ...]]:
    """The same, and for each layer its entries outside the store."""
    config = read_config(reader, stored)
    if len(config.diff_ids) != len(stored.layers):
        raise DockertoolsError(
            f"{reader.what(stored.config)}: {len(config.diff_ids)} diff_ids, but the image has {len(stored.layers)} layers"
        )
    seen: dict[tuple[object, str], tuple[Layer, LayerContent]] = {}
    layers: list[Layer] = []
    contents: list[LayerContent] = []
    for number, (name, diff_id) in enumerate(zip(stored.layers, config.diff_ids, strict=True)):
        place = reader.range(name), algorithm_of(name)  # of one layer an old archive may have several names
        seen[place] = layer, content = seen.get(place) or read_layer(reader, name, zstd)
        assert isinstance(layer.source, BlobSource)
        check_name(reader.what(name), name, layer.source.digest)
        if layer.diff_id != diff_id:
            raise DockertoolsError(
                f"{reader.what(name)}: layer {number} has the diff_id {layer.diff_id}, but the config says {diff_id}"
            )
        layers.append(layer.named(f"tar: {name}"))
        contents.append(content)
    said = [entry.created_by or entry.comment for entry in config.history if not entry.empty_layer]
    said += [""] * (len(layers) - len(said))
    described = [
        replace(layer, store_paths=paths, created_by=text or layer.created_by)
        for layer, paths, text in zip(layers, whole_paths(contents), said, strict=False)
    ]
    return Image(config, tuple(described)), tuple(content.places for content in contents)


def read_layer(reader: Reader, name: str, zstd: str | None = None) -> tuple[Layer, LayerContent]:
    """A layer by the name of its file, and what is in it.

    Raises DockertoolsError when a file that is named by its digest has another.
    """
    path, offset, size = reader.range(name)
    what = reader.what(name)
    compressor = file_compressor(path, offset)
    if compressor not in LAYER_OF_COMPRESSOR:
        raise DockertoolsError(f"{what}: a layer compressed by {compressor}, which no engine reads: make it gz or zstd")
    try:
        plain = compressor == "none"
        read = _read_plain(reader, name) if plain else _read_compressed(reader, name, compressor, zstd)
    except DockertoolsError as error:
        raise DockertoolsError(f"{what}: {error}") from error
    check_name(what, name, read.digest)
    source = BlobSource(str(path), offset, size, read.digest, LAYER_OF_COMPRESSOR[compressor])
    (paths,) = whole_paths([read.content])
    return Layer(read.diff_id, read.size, source, paths, f"tar: {name}", hidden_paths(read.content)), read.content


@dataclass(frozen=True, slots=True)
class _ReadLayer:
    digest: Digest
    diff_id: Digest
    size: int
    content: LayerContent


def _read_plain(reader: Reader, name: str) -> _ReadLayer:
    """A layer as it is: one process reads and hashes it, while this one goes from header to header.

    As a thread it would take 1.6 times as long: whoever goes from header to header has Python's lock nearly always.
    """
    path, offset, size = reader.range(name)
    algorithms = tuple(dict.fromkeys((algorithm_of(name), "sha256")))
    hashing = partial(_digests, reader.chunks(name), algorithms)
    with path.open("rb") as file, beside(hashing) if size > WORTH_A_PROCESS else nullcontext(hashing) as hashed:
        content = content_of(member.entry() for member in members(FileStream(file, size, offset)))
        digests = [Digest(*pair) for pair in hashed()]
    return _ReadLayer(digests[0], digests[-1], size, content)


def _digests(chunks: Iterator[Buffer], algorithms: Sequence[str]) -> list[tuple[str, str]]:
    """Each algorithm with the digits of the digest."""
    hashers = [hashlib.new(algorithm) for algorithm in algorithms]
    for chunk in chunks:
        for hasher in hashers:
            hasher.update(chunk)
    return [(algorithm, hasher.hexdigest()) for algorithm, hasher in zip(algorithms, hashers, strict=True)]


def _read_compressed(reader: Reader, name: str, compressor: str, zstd: str | None) -> _ReadLayer:
    """A layer in one pass: uncompressing takes longer than all else, so the rest is done beside it."""
    algorithm = algorithm_of(name)
    stored, plain = hashlib.new(algorithm), hashlib.sha256()
    chunks = decompress(_hashed(reader.chunks(name), stored), compressor, "", zstd)
    stream = ChunkStream(_hashed(chunks, plain))
    content = content_of(member.entry() for member in members(stream))
    stream.drain()
    digest, diff_id = Digest(algorithm, stored.hexdigest()), Digest("sha256", plain.hexdigest())
    return _ReadLayer(digest, diff_id, stream.offset, content)


def file_compressor(path: Path, offset: int = 0) -> str:
    """How the bytes at `offset` of a file are compressed, by their first ones."""
    with path.open("rb") as file:
        file.seek(offset)
        return compressor_of(file.read(MAGIC_SIZE))


def _hashed(chunks: Iterator[Buffer], hasher: "hashlib._Hash") -> Iterator[Buffer]:
    """Hash what passes, each chunk in a thread while the one who gets it inflates or parses it."""
    with ThreadPoolExecutor(1) as thread:
        pending = None
        for chunk in chunks:
            if pending is not None:
                pending.result()
            pending = thread.submit(hasher.update, chunk)
            yield chunk
        if pending is not None:
            pending.result()
