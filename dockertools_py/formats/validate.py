"""Validating an archive or a layout: recompute every digest and size, and list every mismatch.

It shares no state with what wrote the file: all it knows is what the file says, and the specs.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dockertools_py.errors import DockertoolsError, MissingProgramError, shown
from dockertools_py.formats.image_reader import file_compressor
from dockertools_py.formats.members import Reader
from dockertools_py.formats.stored_images import ATTESTATION, REFERENCE_TYPE
from dockertools_py.model import canonical_json
from dockertools_py.model.descriptor import Descriptor
from dockertools_py.model.digest import Digest
from dockertools_py.model.image_config import ImageConfig
from dockertools_py.model.index import Index
from dockertools_py.model.manifest import Manifest
from dockertools_py.model.media_type import INDEXES, MANIFESTS
from dockertools_py.model.media_type import compressor_of as layer_compressor
from dockertools_py.pack.bundle import blob_name
from dockertools_py.pack.decompression import decompress
from dockertools_py.pack.verified import measure


@dataclass(frozen=True, slots=True)
class Report:
    """What was looked at, and what was wrong; a report that looked at no image is no proof of anything."""

    images: int
    blobs: int
    mismatches: tuple[str, ...]


class _Validation:
    """What was seen so far; each method looks at one thing, and notes what does not fit."""

    def __init__(self, reader: Reader, zstd: str | None) -> None:
        self.reader, self.zstd = reader, zstd
        self.mismatches: list[str] = []
        self.images: set[str] = set()
        self.diff_ids: dict[str, Digest] = {}
        self.checked: set[str] = set()
        self.indexes: set[str] = set()
        """Those that were followed: a thousand entries may name one index, again and again."""

    def blob(self, descriptor: Descriptor, what: str) -> bool:
        """Compare a blob with its descriptor; whether it can be looked into."""
        name = blob_name(descriptor.digest)
        if not self.reader.has(name):
            self.mismatches.append(f"{what}: {name} is not there")
            return False
        size = self.reader.range(name)[2]
        if size != descriptor.size:
            self.mismatches.append(f"{what}: {name} has {size} bytes, its descriptor says {descriptor.size}")
        return True

    def digests(self) -> None:
        """Compare every file below `blobs/` with its name."""
        for name in sorted(self.reader.files.names()):
            folder, _, hexadecimal = name.rpartition("/")
            if not folder.startswith("blobs/") or name in self.checked:
                continue
            self.checked.add(name)
            with self.noted(shown(name)):
                wanted = Digest.parse(f"{folder.removeprefix('blobs/')}:{hexadecimal}", "a blob's name")
                digest, _ = measure(self.reader.chunks(name), wanted.algorithm)
                if digest != wanted:
                    self.mismatches.append(f"{name}: its bytes have the digest {digest}")

    @contextmanager
    def noted(self, what: str) -> Iterator[None]:
        """Errors inside become mismatches, so that one report has them all."""
        try:
            yield
        except MissingProgramError:
            raise
        except DockertoolsError as error:
            self.mismatches.append(f"{what}: {error}")

    def index(self, name: str, depth: int = 0) -> None:
        """Follow an index to its manifests."""
        if name in self.indexes:
            return
        self.indexes.add(name)
        for number, entry in enumerate(Index.from_json(self.reader.json(name), name).manifests):
            what = f"{name}, manifest {number}"
            if not self.blob(entry, what) or entry.annotations.get(REFERENCE_TYPE) == ATTESTATION:
                continue
            with self.noted(what):
                if entry.media_type in INDEXES and depth < 4:
                    self.index(blob_name(entry.digest), depth + 1)
                elif entry.media_type in MANIFESTS:
                    self.manifest(entry)
                else:
                    self.mismatches.append(
                        f"{what}: media type {shown(entry.media_type)} is neither index nor manifest"
                    )

    def manifest(self, descriptor: Descriptor) -> None:
        """A manifest, its config, its layers, and their diff_ids."""
        name = blob_name(descriptor.digest)
        manifest = Manifest.from_json(self.reader.json(name), name)
        self.images.add(blob_name(manifest.config.digest))
        if self.blob(manifest.config, f"{name}, config"):
            layers = [blob_name(layer.digest) for layer in manifest.layers]
            there = [self.blob(layer, f"{name}, layer {n}") for n, layer in enumerate(manifest.layers)]
            for n, layer in enumerate(manifest.layers):
                if there[n]:
                    with self.noted(f"{name}, layer {n}"):
                        self.media_type(layer, f"{name}, layer {n}")
            self.config(blob_name(manifest.config.digest), layers)

    def media_type(self, layer: Descriptor, what: str) -> None:
        """A layer's bytes are compressed as its media type says."""
        path, offset, _ = self.reader.range(blob_name(layer.digest))
        says, found = layer_compressor(layer.media_type), file_compressor(path, offset)
        if says != found:
            self.mismatches.append(f"{what}: {layer.media_type}, but its bytes are compressed by {found}")

    def config(self, name: str, layers: list[str]) -> None:
        """A config's diff_ids against the layers' uncompressed bytes."""
        config = ImageConfig.from_json(self.reader.json(name), name)
        if len(config.diff_ids) != len(layers):
            self.mismatches.append(f"{name}: {len(config.diff_ids)} diff_ids for {len(layers)} layers")
        filled = sum(not entry.empty_layer for entry in config.history)
        if config.history and filled != len(layers):
            self.mismatches.append(f"{name}: history speaks of {filled} layers, there are {len(layers)}")
        for number, (layer, wanted) in enumerate(zip(layers, config.diff_ids, strict=False)):
            with self.noted(f"{name}, layer {number}"):
                if self.reader.has(layer) and (diff_id := self.diff_id(layer)) != wanted:
                    self.mismatches.append(f"{name}, layer {number}: {layer} has the diff_id {diff_id}, not {wanted}")

    def diff_id(self, name: str) -> Digest:
        """The digest of a layer's uncompressed bytes, computed once."""
        if name not in self.diff_ids:
            path, offset, _ = self.reader.range(name)
            compressor = file_compressor(path, offset)
            plain = decompress(self.reader.chunks(name), compressor, name, self.zstd)
            self.diff_ids[name] = measure(plain)[0]
        return self.diff_ids[name]

    def archive(self) -> None:
        """The `manifest.json` of a docker archive."""
        for number, entry in enumerate(canonical_json.decode_list(self.reader.json("manifest.json"), "manifest.json")):
            what = f"manifest.json, image {number}"
            with self.noted(what):
                config, layers = _names(entry)
                absent = [name for name in (config, *layers) if not self.reader.has(name)]
                self.mismatches += [f"{what}: {shown(name)} is not there" for name in absent]
                self.images.add(config)
                if config not in absent:
                    self.config(config, layers)


def _names(entry: object) -> tuple[str, list[str]]:
    """The files that an entry of a docker archive's manifest names."""
    match entry:
        case {"Config": str(config), "Layers": list(layers)} if all(isinstance(layer, str) for layer in layers):
            return config, layers
    raise DockertoolsError(f"an entry without `Config` and a list of `Layers`: {shown(entry)}")


def validate(reader: Reader, zstd: str | None = None) -> Report:
    """Look at everything in an archive or a layout. Raises DockertoolsError when it is neither."""
    is_layout, is_archive = reader.has("index.json"), reader.has("manifest.json")
    if not is_layout and not is_archive:
        raise DockertoolsError(f"{reader.files.what}: neither index.json nor manifest.json in it: no image")
    validation = _Validation(reader, zstd)
    if is_layout:
        with validation.noted("oci-layout"):
            version = canonical_json.decode_object(reader.json("oci-layout"), "oci-layout").get("imageLayoutVersion")
            if version != "1.0.0":
                validation.mismatches.append(f"oci-layout: version {shown(version)}, not 1.0.0")
        with validation.noted("index.json"):
            validation.index("index.json")
    if is_archive:
        with validation.noted("manifest.json"):
            validation.archive()
    validation.digests()
    if not validation.images and not validation.mismatches:
        validation.mismatches.append("no image in it")
    return Report(len(validation.images), len(validation.checked), _unique(validation.mismatches))


def _unique(texts: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))


def lines(report: Report) -> Iterator[str]:
    """The report as text, a line a mismatch."""
    yield from report.mismatches
    yield f"{report.images} images, {report.blobs} blobs, {len(report.mismatches)} mismatches"
