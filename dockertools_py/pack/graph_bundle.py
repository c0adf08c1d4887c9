"""What an archive or a layout holds of one index, or of one manifest as others wrote it: the graph below its root."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from dockertools_py.model import canonical_json
from dockertools_py.model.descriptor import Descriptor
from dockertools_py.model.digest import Digest
from dockertools_py.model.index import Index
from dockertools_py.model.manifest import Manifest
from dockertools_py.model.media_type import DOCKER_CONFIG, INDEXES, OCI_CONFIG
from dockertools_py.model.platform import Platform
from dockertools_py.model.reference import Reference
from dockertools_py.pack.bundle import Blob, Bundle, NamedImage, blob_name, bundle, names_of
from dockertools_py.pack.image import Image
from dockertools_py.pack.layer import BlobSource

AMD64 = Platform("amd64")
"""The platform of Docker's `manifest.json`, which knows one image a name, where an index has several."""


def index_bundle(
    images: Sequence[tuple[Platform, Image]],
    stored: Mapping[Digest, BlobSource],
    references: Sequence[Reference],
    annotations: Mapping[str, str],
    native: Platform = AMD64,
) -> Bundle:
    """The bundle of an index of `images`, each as `bundle` has it by itself."""
    entries: list[Descriptor] = []
    blobs: dict[Digest, Blob] = {}
    for platform, image in images:
        own = bundle([NamedImage(image, ())], stored)
        (entry,) = Index.from_json(own.index, "index.json").manifests
        entries.append(replace(entry, platform=platform))
        blobs |= {blob.descriptor.digest: blob for blob in own.blobs}
    index = Index(tuple(entries), annotations)
    # Two platforms may have one manifest.
    manifests = [(entry, _data(blobs.pop(entry.digest))) for entry in entries if entry.digest in blobs]
    return graph_bundle([*manifests, (index.descriptor(), index.to_bytes())], list(blobs.values()), references, native)


def graph_bundle(
    manifests: Sequence[tuple[Descriptor, bytes]],
    blobs: Sequence[Blob],
    references: Sequence[Reference],
    native: Platform = AMD64,
) -> Bundle:
    """The bundle of a root, the last of `manifests`, with the others and all `blobs` below it, under its names."""
    root = replace(manifests[-1][0], annotations={}, platform=None)
    top = Index(tuple(replace(root, annotations=note) for note in names_of(references)))
    written = [Blob(descriptor, data) for descriptor, data in reversed(manifests)]
    return Bundle(top.to_bytes(), _archive_manifest(manifests, references, native), (*written, *blobs))


def _archive_manifest(
    manifests: Sequence[tuple[Descriptor, bytes]], references: Sequence[Reference], native: Platform
) -> bytes:
    """Docker's list of images: of an index the one for `native`, or else its first; of artifacts none."""
    by_digest = {descriptor.digest: data for descriptor, data in manifests}
    root, data = manifests[-1]
    candidates = [root]
    if root.media_type in INDEXES:
        entries = Index.from_json(data, "index").manifests
        candidates = sorted(entries, key=lambda entry: not (entry.platform and entry.platform.runs_on(native)))
    for entry in candidates:
        if entry.media_type in INDEXES:
            continue
        manifest = Manifest.from_json(by_digest[entry.digest], "manifest")
        if manifest.config.media_type in (OCI_CONFIG, DOCKER_CONFIG):
            image = {
                "Config": blob_name(manifest.config.digest),
                "RepoTags": [str(reference) for reference in references],
                "Layers": [blob_name(layer.digest) for layer in manifest.layers],
            }
            return canonical_json.encode([image])
    return canonical_json.encode([])


def _data(blob: Blob) -> bytes:
    assert isinstance(blob.content, bytes)
    return blob.content
