"""What is about an image but is none, such as a bill of materials or a signature: artifacts with the image as `subject`.

OCI image spec 1.1, manifest.md, "subject"; distribution spec 1.1, "Pushing Manifests with Subject". A registry that keeps the
list of an image's referrers says so in its answer. With any other it is kept here, as an index under the tag
`sha256-<hex of the image>` ("Referrers Tag Schema"), and whoever writes it looks afterwards whether it still has the entry.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from dockertools_py.errors import DockertoolsError
from dockertools_py.model import canonical_json
from dockertools_py.model.descriptor import Descriptor
from dockertools_py.model.digest import Digest
from dockertools_py.model.index import MAX_MANIFESTS_READ
from dockertools_py.model.manifest import Manifest
from dockertools_py.model.media_type import OCI_EMPTY, OCI_INDEX
from dockertools_py.registry.content import Bytes, Content
from dockertools_py.registry.pusher import Pusher
from dockertools_py.registry.pushing import push_blob
from dockertools_py.registry.session import NotThere
from dockertools_py.registry.together import together
from dockertools_py.registry.watching import Watcher

EMPTY = b"{}"
TITLE = "org.opencontainers.image.title"
"""The annotation for the name of a file."""
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Artifact:
    """Files of a kind about an image: `files` are their descriptors with where the bytes are."""

    subject: Descriptor
    artifact_type: str
    files: Sequence[tuple[Descriptor, Content]]
    annotations: Mapping[str, str] = field(default_factory=dict)

    def manifest(self) -> Manifest:
        """The manifest that names the image and the files."""
        config = Descriptor(OCI_EMPTY, Digest.of(EMPTY), len(EMPTY))
        plain = Descriptor(self.subject.media_type, self.subject.digest, self.subject.size)
        files = tuple(descriptor for descriptor, _ in self.files)
        return Manifest(config, files, self.annotations, artifact_type=self.artifact_type, subject=plain)


def attach(pusher: Pusher, artifact: Artifact, watcher: Watcher) -> Descriptor:
    """Push an artifact, and list it with the image. Returns its descriptor. Raises DockertoolsError."""
    manifest = artifact.manifest()
    contents: dict[Digest, Content] = {descriptor.digest: content for descriptor, content in artifact.files}
    contents[manifest.config.digest] = Bytes(EMPTY)
    blobs = {blob.digest: blob for blob in (manifest.config, *manifest.layers)}
    together([partial(push_blob, pusher, blob, contents, (), watcher) for blob in blobs.values()])
    descriptor = manifest.descriptor()
    answer = pusher.put_manifest(str(descriptor.digest), manifest.to_bytes(), descriptor.media_type)
    if answer.headers.get("OCI-Subject", "").strip() != str(artifact.subject.digest):
        entry = replace(descriptor, artifact_type=artifact.artifact_type, annotations=artifact.annotations)
        _list(pusher, artifact.subject.digest, entry)
    return descriptor


def referrers_tag(subject: Digest) -> str:
    """The tag of the list of an image's referrers, where the registry keeps none."""
    return f"{subject.algorithm}-{subject.hex}"


def _list(pusher: Pusher, subject: Digest, entry: Descriptor) -> None:
    """Add an entry to the list; two who do so at the same time may overwrite each other, hence look again."""
    tag = referrers_tag(subject)
    for _ in range(_ATTEMPTS):
        index = _listed(pusher, tag)
        if any(isinstance(one, dict) and one.get("digest") == str(entry.digest) for one in index["manifests"]):
            return
        index["manifests"].append(entry.to_json())
        pusher.put_manifest(tag, canonical_json.encode(index), OCI_INDEX)
    raise DockertoolsError(
        f"{pusher.image.location()}: the list {tag} is written by others at the same time: try again"
    )


def _listed(pusher: Pusher, tag: str) -> dict[str, Any]:
    """The list as it is, with whatever else is in it."""
    try:
        fetched = pusher.puller.manifest(tag)
    except NotThere:
        return {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
    value = dict(canonical_json.decode_object(fetched.data, tag))
    manifests = value.get("manifests")
    if fetched.descriptor.media_type != OCI_INDEX or not isinstance(manifests, list):
        raise DockertoolsError(f"{pusher.image.location()}: {tag} is there and no list of referrers: remove that tag")
    if len(manifests) >= MAX_MANIFESTS_READ:
        raise DockertoolsError(f"{pusher.image.location()}: {tag} has {len(manifests)} entries, more than are read")
    return value | {"manifests": list(manifests)}
