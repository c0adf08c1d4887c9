"""Getting the layers of a description into a repository, where most of them are already, under digests that we do not know.

The problem. A description knows a layer's diff_id, the digest of its tar. A registry knows blobs by the digest of the
compressed tar. To learn that digest one would have to make the tar and compress it, only to hear that the blob is there.

The rule. Whoever pushed the layer before left the pair of both in the registry: `rootfs.diff_ids[i]` of an image's config
belongs to `layers[i]` of its manifest. So we look at the image which the tag, or another one that the user names, has there,
and at what we remember ourselves (cache.py). What is found must exist, with the size that is claimed (HEAD), or must be
mounted from where it was found. Only layers that are nowhere are made, by all cores, and sent while they are made.

Example. A tag has base, python and app; we push base, python and a new app. One manifest and one config are read, three
HEADs are sent, one layer is made.

What it trusts. That a blob holds the layer of its diff_id cannot be seen without reading it: it is believed of those who
may push to the repositories that the user named, and of nobody else. Docker and containerd compare the diff_id when they
unpack; podman does not always. `is_checked` has each such blob fetched and compared, once a machine. What we
remember ourselves was made or compared here.
"""

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from dockertools_py.errors import DockertoolsError
from dockertools_py.model.descriptor import Descriptor
from dockertools_py.model.digest import Digest
from dockertools_py.model.media_type import compressor_of
from dockertools_py.model.platform import Platform
from dockertools_py.pack.decompression import decompress
from dockertools_py.pack.verified import Buffer, verified
from dockertools_py.parallel import shares
from dockertools_py.registry.cache import Cache
from dockertools_py.registry.content import Content, FileRange
from dockertools_py.registry.lock import resolve
from dockertools_py.registry.puller import Puller
from dockertools_py.registry.pusher import Pusher
from dockertools_py.registry.remote import RemoteImage
from dockertools_py.registry.session import NotThere, Session
from dockertools_py.registry.spool import spooled
from dockertools_py.registry.together import together
from dockertools_py.registry.transport import Unreachable
from dockertools_py.registry.watching import Watcher

Say = Callable[[str], None]
Fetch = Callable[[Iterable[str]], None]


@dataclass(frozen=True, slots=True)
class Stored:
    """A layer's blob at hand; `is_fixed`: the image has it as this blob and no other."""

    blob: Descriptor
    content: Content
    is_fixed: bool


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A layer that is to be in a repository: `size` bytes of tar, which `make` makes as a blob of `media_type`.

    `make` is given the number of threads to use; `files` is what it reads, or what the stored blob lies in.
    """

    diff_id: Digest
    size: int
    label: str
    media_type: str
    make: Callable[[int], Iterable[Buffer]]
    stored: Stored | None = None
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A blob that may be a layer; `repository` of the same registry has it if ours has not."""

    blob: Descriptor
    repository: str = ""
    is_trusted: bool = True


@dataclass(frozen=True, slots=True)
class Arrived:
    """A layer that is in the repository now, with the content that it was sent from, if it was."""

    blob: Descriptor
    content: Content | None = None


@dataclass(frozen=True, slots=True)
class Reuse:
    """What may stand for a layer: pairs that images in registries claim, what we remember, and of these which kinds."""

    claimed: Mapping[Digest, tuple[Candidate, ...]] = field(default_factory=dict)
    cache: Cache = field(default_factory=lambda: Cache(None))
    compressors: frozenset[str] = frozenset({"none", "gz", "zstd"})
    is_checked: bool = False
    zstd: str | None = None

    def candidates(self, layer: Outgoing, image: RemoteImage) -> list[Candidate]:
        """Blobs to ask for, the best first."""
        own, registry = image.repository, image.registry
        known = [
            Candidate(pushed.blob, place.removeprefix(f"{registry}/"))
            for pushed in self.cache.find(layer.diff_id)
            for place in ([p for p in pushed.places if p.startswith(f"{registry}/")] or [f"{registry}/{own}"])
        ]
        stored = [Candidate(layer.stored.blob)] if layer.stored else []
        if layer.stored and layer.stored.is_fixed:
            return stored + [one for one in known if one.blob.digest == layer.stored.blob.digest]
        found = stored + known + list(self.claimed.get(layer.diff_id, ()))
        return [one for one in found if compressor_of(one.blob.media_type) in self.compressors]


def claimed_by(
    session: Session, images: Iterable[RemoteImage], target: Pusher, platform: Platform, say: Say
) -> dict[Digest, tuple[Candidate, ...]]:
    """The pairs of diff_id and blob that images claim. One that cannot be read is told and otherwise left out.

    Raises Unreachable for the registry of `target`.
    """
    found: dict[Digest, tuple[Candidate, ...]] = {}
    here = target.image
    for image in images:
        is_here = (image.registry, image.repository) == (here.registry, here.repository)
        puller = target.puller if is_here else Puller(session, image)
        try:
            lock = resolve(puller, image, platform, strict=False)
        except DockertoolsError as error:
            if is_here and isinstance(error, Unreachable):
                raise  # nor can anything be pushed
            if not (is_here and isinstance(error, NotThere)):  # a tag that is new
                say(f"nothing is reused of {image}: {error}")
            continue
        repository = image.repository if image.registry == here.registry and not is_here else ""
        for diff_id, blob in zip(lock.diff_ids, lock.layers, strict=True):
            plain = Descriptor(blob.media_type, blob.digest, blob.size)
            found[diff_id] = (*found.get(diff_id, ()), Candidate(plain, repository, is_trusted=False))
    return found


class LayerPush:
    """Gets layers into the repository of `pusher`; `cores` is how many processes make them.

    `fetch` is told which files are read for those that must be sent, before they are.
    """

    def __init__(
        self, pusher: Pusher, reuse: Reuse, watcher: Watcher, say: Say, cores: int, fetch: Fetch = lambda _: None
    ) -> None:
        self._pusher, self._reuse, self._watcher, self._say, self._cores = pusher, reuse, watcher, say, cores
        self._fetch = fetch

    def run(self, layers: Sequence[Outgoing]) -> dict[Digest, Arrived]:
        """The blob of each layer by its diff_id. Raises DockertoolsError."""
        once = list({layer.diff_id: layer for layer in layers}.values())
        found = together([partial(self._find, layer) for layer in once])
        arrived = {layer.diff_id: Arrived(blob) for layer, blob in zip(once, found, strict=True) if blob}
        missing = [layer for layer in once if layer.diff_id not in arrived]
        self._fetch(file for layer in missing for file in layer.files)
        # What is stored goes first: nobody has to wait for it.
        stored = [layer for layer in missing if layer.stored]
        made = sorted((layer for layer in missing if not layer.stored), key=lambda layer: -layer.size)
        threads = shares([layer.size for layer in made], self._cores)
        makers = [partial(layer.make, count) for layer, count in zip(made, threads, strict=True)]
        with spooled(makers, self._cores) as spools:
            tasks = [partial(self._send_stored, layer) for layer in stored]
            tasks += [
                partial(self._send, layer, spool, spool.digest) for layer, spool in zip(made, spools, strict=True)
            ]
            sent = together(tasks)
        return arrived | {layer.diff_id: one for layer, one in zip([*stored, *made], sent, strict=True)}

    def _find(self, layer: Outgoing) -> Descriptor | None:
        """The blob as which a layer is in the repository, or is mounted there."""
        asked: set[Digest] = set()
        for candidate in self._reuse.candidates(layer, self._pusher.image):
            blob, why = candidate.blob, "there"
            if blob.digest not in asked and not self._pusher.has(blob):
                asked.add(blob.digest)
            if blob.digest in asked:
                if not candidate.repository or candidate.repository == self._pusher.image.repository:
                    continue
                if not self._pusher.mount(blob.digest, candidate.repository) or not self._pusher.has(blob):
                    continue
                why = "mounted"
            is_proven = candidate.is_trusted
            if self._reuse.is_checked and not is_proven:
                if not self._is(layer, blob):
                    continue
                is_proven = True
            if is_proven:
                self._remember(layer, blob)
            self._watcher.skipped(layer.label, blob.digest, blob.size, why)
            return blob
        return None

    def _is(self, layer: Outgoing, blob: Descriptor) -> bool:
        """Whether a blob is really the layer: it is fetched and uncompressed."""
        with tempfile.NamedTemporaryFile(prefix="dockertools-py.", buffering=0) as file:
            try:
                self._pusher.puller.blob(blob, file)
                chunks = FileRange(file.name, 0, blob.size).chunks(0, None)
                plain = decompress(chunks, compressor_of(blob.media_type), str(blob.digest), self._reuse.zstd)
                for _ in verified(plain, layer.diff_id, layer.size, f"{layer.label}: not what its image says"):
                    pass
            except DockertoolsError as error:
                self._say(f"not reused: {error}")
                return False
        return True

    def _send_stored(self, layer: Outgoing) -> Arrived:
        stored = layer.stored
        assert stored
        return self._send(layer, stored.content, lambda: stored.blob.digest, stored.blob.media_type)

    def _send(
        self, layer: Outgoing, content: Content, find_digest: Callable[[], Digest], media_type: str = ""
    ) -> Arrived:
        self._watcher.begun(layer.label, content.size())
        digest = self._pusher.upload(content, find_digest, layer.label, partial(self._watcher.moved, layer.label))
        size = content.size()
        assert size is not None
        self._watcher.sent(layer.label, digest, size)
        blob = Descriptor(media_type or layer.media_type, digest, size)
        self._remember(layer, blob)
        return Arrived(blob, content)

    def _remember(self, layer: Outgoing, blob: Descriptor) -> None:
        image = self._pusher.image
        self._reuse.cache.add(layer.diff_id, blob, f"{image.registry}/{image.repository}")
