"""Pushing all of an image or an index: blobs first, then what names them, the tags last.

So whoever interrupts a push, and whatever fails in it, leaves each tag as it was. An image that goes to several repositories
is made once: the further ones get the same blobs, by a mount, from what is at hand, or from the first repository.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from dockertools_py.errors import DockertoolsError
from dockertools_py.model.descriptor import Descriptor
from dockertools_py.model.digest import Digest
from dockertools_py.model.index import Index
from dockertools_py.model.manifest import Manifest
from dockertools_py.model.media_type import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST
from dockertools_py.model.platform import Platform
from dockertools_py.pack.image import Image
from dockertools_py.registry.content import Bytes, Content
from dockertools_py.registry.graph import Graph
from dockertools_py.registry.layers import LayerPush, Outgoing
from dockertools_py.registry.media_types import as_format, in_format
from dockertools_py.registry.puller import FetchedManifest
from dockertools_py.registry.pusher import Pusher
from dockertools_py.registry.relay import Relay
from dockertools_py.registry.remote import RemoteImage
from dockertools_py.registry.together import together
from dockertools_py.registry.watching import Watcher, label_of


@dataclass(frozen=True, slots=True)
class Target:
    """A repository, and the names that the image gets there: tags, or none for its digest alone."""

    image: RemoteImage
    tags: tuple[str, ...]
    expected: Digest | None = None
    """Of the manifest or index, where the user knows it."""


@dataclass(frozen=True, slots=True)
class Shipment:
    """What is sent: manifests and blobs, and the contents of those blobs that are at hand."""

    graph: Graph
    contents: Mapping[Digest, Content] = field(default_factory=dict)
    arrived: frozenset[Digest] = frozenset()
    """Blobs that the first repository has already."""


@dataclass(frozen=True, slots=True)
class Form:
    """How a manifest is written: `oci` or `docker`, and its annotations."""

    name: str = "oci"
    annotations: Mapping[str, str] = field(default_factory=dict)


def targets_of(references: Sequence[str], *, by_digest: bool = False) -> list[Target]:
    """References as repositories with tags. Raises DockertoolsError."""
    found: dict[tuple[str, str, bool], Target] = {}
    for text in references:
        image = RemoteImage.parse(text.removeprefix("docker://"))
        key = (image.registry, image.repository, image.plain_http)
        before = found.get(key, Target(image, (), image.digest))
        if image.digest and before.expected != image.digest:
            raise DockertoolsError(f"{text}: another digest for the same repository: push them one by one")
        is_named = bool(image.tag) and not by_digest
        tags = (*before.tags, image.tag) if is_named and image.tag not in before.tags else before.tags
        found[key] = replace(before, tags=tags)
    return list(found.values())


def push_layers(image: Image, layers: Sequence[Outgoing], push: LayerPush, form: Form) -> Shipment:
    """Get the layers of an image into the repository of `push`; then its manifest is known, and is not there yet."""
    for layer in layers:  # before anything is sent
        fixed = layer.stored.blob.media_type if layer.stored and layer.stored.is_fixed else layer.media_type
        in_format(fixed, form.name)
    arrived = push.run(layers)
    config_bytes = image.config.to_bytes()
    config = Descriptor(in_format(OCI_CONFIG, form.name), Digest.of(config_bytes), len(config_bytes))
    blobs = [as_format(arrived[layer.diff_id].blob, form.name) for layer in layers]
    manifest = Manifest(config, tuple(blobs), form.annotations, in_format(OCI_MANIFEST, form.name))
    graph = Graph(
        (FetchedManifest(manifest.descriptor(), manifest.to_bytes()),),
        tuple({blob.digest: blob for blob in (*blobs, config)}.values()),
    )
    contents: dict[Digest, Content] = {one.blob.digest: one.content for one in arrived.values() if one.content}
    return Shipment(
        graph, contents | {config.digest: Bytes(config_bytes)}, frozenset(one.blob.digest for one in arrived.values())
    )


def join(children: Sequence[tuple[Shipment, Platform]], form: Form) -> Shipment:
    """Images for several platforms, and the index of them."""
    entries = [replace(shipment.graph.root().descriptor, platform=platform) for shipment, platform in children]
    index = Index(tuple(entries), form.annotations, in_format(OCI_INDEX, form.name))
    manifests = [manifest for shipment, _ in children for manifest in shipment.graph.manifests]
    blobs = {blob.digest: blob for shipment, _ in children for blob in shipment.graph.blobs}
    contents = {digest: content for shipment, _ in children for digest, content in shipment.contents.items()}
    return Shipment(
        Graph((*manifests, FetchedManifest(index.descriptor(), index.to_bytes())), tuple(blobs.values())),
        contents,
        frozenset(digest for shipment, _ in children for digest in shipment.arrived),
    )


def push_all(
    shipment: Shipment,
    targets: Sequence[Target],
    open_pusher: Callable[[RemoteImage], Pusher],
    watcher: Watcher,
    sources: Sequence[str] = (),
) -> None:
    """Send everything to all targets; `sources` are repositories of the first one's registry that may have the blobs.

    Raises DockertoolsError.
    """
    root = shipment.graph.root().descriptor.digest
    for target in targets:
        if target.expected and target.expected != root:
            raise DockertoolsError(
                f"{target.image.location()}: the image has the digest {root}, but {target.expected} was to be pushed"
            )
    first: Pusher | None = None
    contents, arrived = dict(shipment.contents), shipment.arrived
    for target in targets:
        pusher = open_pusher(target.image)
        is_near = first is None or first.image.registry == target.image.registry
        push_graph(
            pusher,
            replace(shipment, contents=contents, arrived=arrived),
            target.tags,
            sources if is_near else (),
            watcher,
        )
        if first is None:
            first, arrived, sources = pusher, frozenset(), (target.image.repository,)
            relays = {blob.digest: Relay(pusher.puller, blob) for blob in shipment.graph.blobs}
            contents = {**relays, **contents}


def push_graph(
    pusher: Pusher, shipment: Shipment, tags: Sequence[str], sources: Sequence[str], watcher: Watcher
) -> None:
    """Send everything to one repository; `sources` are repositories of the same registry that may have the blobs."""
    missing = [blob for blob in shipment.graph.blobs if blob.digest not in shipment.arrived]
    together([partial(push_blob, pusher, blob, shipment.contents, sources, watcher) for blob in missing])
    *children, root = shipment.graph.manifests
    for manifest in children:
        pusher.put_manifest(str(manifest.descriptor.digest), manifest.data, manifest.descriptor.media_type)
    for name in tags or (str(root.descriptor.digest),):
        pusher.put_manifest(name, root.data, root.descriptor.media_type)


def push_blob(
    pusher: Pusher,
    blob: Descriptor,
    contents: Mapping[Digest, Content],
    sources: Sequence[str],
    watcher: Watcher,
) -> None:
    """Send a blob, unless it is there or can be mounted from one of `sources`."""
    label = label_of(blob)
    if pusher.has(blob):
        watcher.skipped(label, blob.digest, blob.size, "there")
        return
    for source in sources:
        if pusher.mount(blob.digest, source) and pusher.has(blob):
            watcher.skipped(label, blob.digest, blob.size, "mounted")
            return
    if blob.digest not in contents:
        raise DockertoolsError(f"{pusher.image.location()}: {label} was there before and is not any more: push again")
    content = contents[blob.digest]
    watcher.begun(label, blob.size)
    pusher.upload(content, lambda: blob.digest, label, partial(watcher.moved, label))
    watcher.sent(label, blob.digest, blob.size)
