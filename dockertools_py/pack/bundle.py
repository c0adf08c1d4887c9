"""What an archive or a layout holds: images under their names, and the blobs of all of them, each once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dockertools_py.model import canonical_json
from dockertools_py.model.descriptor import Descriptor
from dockertools_py.model.digest import Digest
from dockertools_py.model.index import Index
from dockertools_py.model.manifest import Manifest
from dockertools_py.model.media_type import OCI_CONFIG, OCI_LAYER
from dockertools_py.model.reference import Reference
from dockertools_py.pack.image import Image
from dockertools_py.pack.layer import BlobSource, Layer

OCI_LAYOUT = canonical_json.encode({"imageLayoutVersion": "1.0.0"})

CONTAINERD_NAME = "io.containerd.image.name"
"""containerd (ctr, and Docker with its image store) takes the full name from here."""
REF_NAME = "org.opencontainers.image.ref.name"
"""skopeo, podman and umoci take the tag from here (OCI image spec 1.1, annotations.md)."""


@dataclass(frozen=True, slots=True)
class NamedImage:
    """An image, and the names that it gets; none is allowed."""

    image: Image
    references: tuple[Reference, ...]


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob to be written: bytes at hand, a range of a file, or a layer to be made (uncompressed)."""

    descriptor: Descriptor
    content: bytes | BlobSource | Layer

    def member_name(self) -> str:
        """Where it lies in a layout or an archive (OCI image spec 1.1, image-layout.md, "Blobs")."""
        return blob_name(self.descriptor.digest)


@dataclass(frozen=True, slots=True)
class Bundle:
    """The JSON files at the top, and the blobs in the order in which they are written."""

    index: bytes
    archive_manifest: bytes
    """`manifest.json` of a docker archive (Docker image spec v1.2, "Combined Image JSON + Filesystem Changeset")."""
    blobs: tuple[Blob, ...]


def blob_name(digest: Digest) -> str:
    """`blobs/sha256/<hex>`."""
    return f"blobs/{digest.algorithm}/{digest.hex}"


def bundle(images: Sequence[NamedImage], stored: Mapping[Digest, BlobSource], *, plain: bool = False) -> Bundle:
    """The bundle of `images`; layers whose diff_id is in `stored` are written as that blob, others uncompressed.

    A layer that is a blob already (a base's) stays as it is: the image id does not depend on compression. With `plain` all
    are uncompressed, whatever they are stored as, so that the digest of each blob is its diff_id.
    """
    index: list[Descriptor] = []
    archive_manifest = []
    blobs: dict[Digest, Blob] = {}
    for named in images:
        layers = [plain_blob(layer) if plain else layer_blob(layer, stored) for layer in named.image.layers]
        config_bytes = named.image.config.to_bytes()
        config = Blob(Descriptor(OCI_CONFIG, Digest.of(config_bytes), len(config_bytes)), config_bytes)
        described = Manifest(config.descriptor, tuple(layer.descriptor for layer in layers))
        manifest = Blob(described.descriptor(), described.to_bytes())
        for blob in (manifest, config, *layers):
            blobs.setdefault(blob.descriptor.digest, blob)
        platform = named.image.config.platform
        index += [
            replace(manifest.descriptor, annotations=note, platform=platform) for note in names_of(named.references)
        ]
        archive_manifest.append(
            {
                "Config": config.member_name(),
                "RepoTags": [str(reference) for reference in named.references],
                "Layers": [layer.member_name() for layer in layers],
            }
        )
    return Bundle(Index(tuple(index)).to_bytes(), canonical_json.encode(archive_manifest), tuple(blobs.values()))


def layer_blob(layer: Layer, stored: Mapping[Digest, BlobSource]) -> Blob:
    """The blob as which a layer is written."""
    source = stored.get(layer.diff_id)
    if source is None and isinstance(layer.source, BlobSource):
        source = layer.source
    if source is None:
        return plain_blob(layer)
    return Blob(Descriptor(source.media_type, source.digest, source.size), source)


def plain_blob(layer: Layer) -> Blob:
    """An uncompressed layer, made when it is written."""
    return Blob(Descriptor(OCI_LAYER, layer.diff_id, layer.size), layer)


def names_of(references: Sequence[Reference]) -> list[dict[str, str]]:
    """The annotations of an entry of `index.json` for each name; without names of one entry."""
    return [{CONTAINERD_NAME: name.normalised(), REF_NAME: name.tag} for name in references] or [{}]
