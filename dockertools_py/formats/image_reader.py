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

from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.formats.members import Reader
from dockertools_py.model import canonical_json
from dockertools_py.model.descriptor import Descriptor
from dockertools_py.model.digest import Digest
from dockertools_py.model.entry import Entry
from dockertools_py.model.image_config import ImageConfig
from dockertools_py.model.index import MAX_MANIFESTS_READ, Index
from dockertools_py.model.manifest import MAX_LAYERS_READ, Manifest
from dockertools_py.model.media_type import INDEXES, LAYER_OF_COMPRESSOR, MANIFESTS
from dockertools_py.model.platform import Platform
from dockertools_py.pack.bundle import CONTAINERD_NAME, REF_NAME, blob_name
from dockertools_py.pack.decompression import MAGIC_SIZE, compressor_of, decompress
from dockertools_py.pack.image import Image
from dockertools_py.pack.layer import BlobSource, Layer
from dockertools_py.pack.layer_content import LayerContent, content_of, hidden_paths, whole_paths
from dockertools_py.pack.tar_reader import ChunkStream, FileStream, members
from dockertools_py.pack.verified import Buffer
from dockertools_py.parallel import beside

_MAX_NESTING = 4
WORTH_A_PROCESS = 4 << 20
"""Bytes that take longer to be hashed than a process takes to be made."""
REFERENCE_TYPE, ATTESTATION = "vnd.docker.reference.type", "attestation-manifest"
"""How buildx marks what is about an image but is none (moby/buildkit, docs/attestations/attestation-storage.md)."""


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image in an archive or a layout: its names, its config and the names of the files that are its layers."""

    names: tuple[str, ...]
    config: str
    layers: tuple[str, ...]
    platform: Platform | None = None
    """As the index says; an archive's manifest says nothing of it."""

    def told(self) -> list[str]:
        """Its names for an error, with the platform where there is one."""
        suffix = f" for {self.platform}" if self.platform else ""
        return [name + suffix for name in self.names or ("one without a name",)]


def stored_images(reader: Reader) -> tuple[StoredImage, ...]:
    """All images, in the order in which they are listed. Raises DockertoolsError when it is no image at all."""
    if reader.has("manifest.json"):
        return tuple(_archive_images(reader))
    if reader.has("index.json"):
        return tuple(_layout_images(reader))
    raise DockertoolsError(f"{reader.files.what}: {_what_it_is(reader)}")


def choose(
    images: Sequence[StoredImage], name: str | None, tag: str | None, what: str, platform: Platform | None = None
) -> StoredImage:
    """The image of that name and tag, or the only one; of several the only one for `platform`.

    Raises DockertoolsError with what there is.
    """
    wanted = [image for image in images if (not name and not tag) or any(_matches(n, name, tag) for n in image.names)]
    if len(wanted) > 1 and platform:
        wanted = _best(wanted, platform) or wanted
    if len(wanted) == 1:
        return wanted[0]
    there = ", ".join(shown(n) for image in images for n in image.told()) or "nothing"
    if not wanted:
        raise DockertoolsError(f"{what}: no image {name or '*'}:{tag or '*'} in it; there is: {there}")
    by = "fromImageName and fromImageTag, or --choose NAME:TAG"
    if len({frozenset(image.names) for image in wanted}) == 1:  # an index: no name tells them apart
        by = "`architecture`, or `dockertools-py copy … --platform OS/ARCH` before"
    raise DockertoolsError(f"{what}: {len(wanted)} images in it: choose one ({by}); there is: {there}")


def _best(images: Sequence[StoredImage], wanted: Platform) -> list[StoredImage]:
    """Those for the best variant that runs on a platform."""
    for variant in wanted.variants():
        one = replace(wanted, variant=variant)
        if found := [image for image in images if image.platform == one]:
            return found
    return []


def read_image(reader: Reader, stored: StoredImage, zstd: str | None = None) -> Image:
    """The image with all its digests checked. Raises DockertoolsError naming file and member for any that is wrong."""
    return read_image_and_places(reader, stored, zstd)[0]


def read_image_and_places(
    reader: Reader, stored: StoredImage, zstd: str | None = None
) -> tuple[Image, tuple[tuple[Entry, ...], ...]]:
    """The same, and for each layer its entries outside the store."""
    config_bytes = _checked_json(reader, stored.config)
    config = ImageConfig.from_json(config_bytes, reader.what(stored.config))
    if len(config.diff_ids) != len(stored.layers):
        raise DockertoolsError(
            f"{reader.what(stored.config)}: {len(config.diff_ids)} diff_ids, but the image has {len(stored.layers)} layers"
        )
    seen: dict[tuple[object, str], tuple[Layer, LayerContent]] = {}
    layers: list[Layer] = []
    contents: list[LayerContent] = []
    for number, (name, diff_id) in enumerate(zip(stored.layers, config.diff_ids, strict=True)):
        place = reader.range(name), _algorithm(name)  # of one layer an old archive may have several names
        seen[place] = layer, content = seen.get(place) or read_layer(reader, name, zstd)
        assert isinstance(layer.source, BlobSource)
        _check_named_digest(reader.what(name), name, layer.source.digest)
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
    _check_named_digest(what, name, read.digest)
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
    algorithms = tuple(dict.fromkeys((_algorithm(name), "sha256")))
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
    algorithm = _algorithm(name)
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


def _archive_images(reader: Reader) -> Iterator[StoredImage]:
    what = reader.what("manifest.json")
    for entry in canonical_json.decode_list(reader.json("manifest.json"), what):
        match entry:
            case {"Config": str(config), "Layers": list(layers)} if len(layers) <= MAX_LAYERS_READ and _strings(layers):
                tags = entry.get("RepoTags") or []
                if not isinstance(tags, list) or not _strings(tags):
                    raise DockertoolsError(f"{what}: RepoTags is {shown(tags)}, not a list of names")
                yield StoredImage(tuple(tags), config, tuple(layers))
            case _:
                raise DockertoolsError(
                    f"{what}: an entry without `Config` and a list of at most {MAX_LAYERS_READ} `Layers`: {shown(entry)}"
                )


def _strings(values: Sequence[object]) -> bool:
    return all(isinstance(value, str) for value in values)


def _layout_images(reader: Reader) -> Iterator[StoredImage]:
    pending = _index_entries(reader, "index.json", (), 0)
    count = 0
    while pending:
        count += 1
        if count > MAX_MANIFESTS_READ:  # each level of indexes may multiply them
            raise DockertoolsError(f"{reader.what('index.json')}: more than {MAX_MANIFESTS_READ} images")
        entry, names, depth = pending.pop()
        if entry.annotations.get(REFERENCE_TYPE) == ATTESTATION:
            continue
        file = blob_name(entry.digest)
        if entry.media_type in INDEXES:
            pending += _index_entries(reader, file, names, depth)
        elif entry.media_type in MANIFESTS:
            manifest = Manifest.from_json(_checked_json(reader, file), reader.what(file))
            layers = tuple(blob_name(layer.digest) for layer in manifest.layers)
            yield StoredImage(names, blob_name(manifest.config.digest), layers, entry.platform)


def _index_entries(
    reader: Reader, file: str, names: tuple[str, ...], depth: int
) -> list[tuple[Descriptor, tuple[str, ...], int]]:
    """The entries of an index, last first, with their names and the depth of what is below them."""
    if depth > _MAX_NESTING:
        raise DockertoolsError(f"{reader.what(file)}: indexes more than {_MAX_NESTING} deep")
    entries = []
    for entry in reversed(Index.from_json(_checked_json(reader, file), reader.what(file)).manifests):
        given = [entry.annotations[key] for key in (CONTAINERD_NAME, REF_NAME) if key in entry.annotations]
        entries.append((entry, tuple(given[:1]) or names, depth + 1))
    return entries


def _matches(full: str, name: str | None, tag: str | None) -> bool:
    head, colon, tail = full.rpartition(":")
    own_name, own_tag = (head, tail) if colon and "/" not in tail else (full, "latest")
    short = own_name.removeprefix("docker.io/").removeprefix("library/")
    # In a layout the whole name may be a tag: `skopeo copy … oci:folder:1.0`.
    return (not name or name in (own_name, short)) and (not tag or tag in (own_tag, full))


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


def _named_digest(name: str) -> Digest | None:
    """The digest that a file is named by: `blobs/sha512/<hex>`, `blobs/sha256/<hex>`, `<hex>.json`, `<hex>.tar`."""
    folder, _, last = name.rpartition("/")
    stem = last.removesuffix(".json").removesuffix(".tar")
    algorithm = folder.removeprefix("blobs/") if folder.startswith("blobs/") else "sha256"
    try:
        return Digest.parse(f"{algorithm}:{stem}")
    except DockertoolsError:
        return None


def _algorithm(name: str) -> str:
    """What a file's digest is computed with: the algorithm that its name has."""
    named = _named_digest(name)
    return named.algorithm if named else "sha256"


def _check_named_digest(what: str, name: str, digest: Digest) -> None:
    """A file named by its digest must have it. Raises DockertoolsError."""
    if _named_digest(name) not in (None, digest):
        raise DockertoolsError(f"{what}: its bytes have the digest {digest}, not the one that it is named by")


def _checked_json(reader: Reader, name: str) -> bytes:
    """A small file whose digest is the one that it is named by. Raises DockertoolsError."""
    data = reader.json(name)
    _check_named_digest(reader.what(name), name, Digest.of(data, _algorithm(name)))
    return data


def _what_it_is(reader: Reader) -> str:
    """Why something is no image, for somebody who thought that it was one."""
    names = set(reader.files.names())
    tops = sorted({name.partition("/")[0] for name in names})
    if {"bin", "etc", "nix", "usr", "lib"} & set(tops):
        return (
            "no image, but a root file system (it has " + ", ".join(map(shown, tops[:6])) + "): pass it as addTarball"
        )
    if "repositories" in names:
        return (
            "no image that is read here: Docker before 1.10 wrote it, without manifest.json; load it and save it again"
        )
    if not names:
        return "no image: it is empty"
    return "no image: neither manifest.json nor index.json in it, but " + ", ".join(map(shown, tops[:6]))
