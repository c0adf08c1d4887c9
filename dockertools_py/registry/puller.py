"""Pulling manifests and blobs of a repository, from mirrors first and from its registry last (distribution spec, "Pull").

All that comes is hostile until its digest was compared: nothing is read past the size that its descriptor gives, and JSON
has a bound of its own.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model import canonical_json
from dockertools_py.model.descriptor import Descriptor
from dockertools_py.model.digest import Digest
from dockertools_py.model.media_type import DOCKER_INDEX, DOCKER_MANIFEST, INDEXES, MANIFESTS, OCI_INDEX, OCI_MANIFEST
from dockertools_py.registry.remote import Endpoint, RemoteImage
from dockertools_py.registry.session import Access, Session
from dockertools_py.registry.transport import Response, Transient

MAX_MANIFEST = 4 << 20
"""Bytes; what the distribution spec asks registries to accept ("Pushing Manifests")."""
CHUNK = 1 << 20
PROGRESS = 1 << 20
"""A download that went on by so many bytes before it broke has all its attempts again."""

ACCEPT = ", ".join((OCI_INDEX, OCI_MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST))

T = TypeVar("T")


class Sink(Protocol):
    """A file, as far as a blob needs one."""

    def seek(self, position: int, /) -> object:
        """Go on from there."""

    def truncate(self) -> object:
        """Forget what comes after."""

    def write(self, data: bytes, /) -> object:
        """Write all of `data`."""


@dataclass(frozen=True, slots=True)
class FetchedManifest:
    """A manifest or an index as it was sent, and its descriptor."""

    descriptor: Descriptor
    data: bytes


@dataclass(slots=True)
class _Download:
    """How far a blob is."""

    descriptor: Descriptor
    out: Sink
    have: int = 0
    hasher: "hashlib._Hash" = field(init=False)

    def __post_init__(self) -> None:
        self.hasher = hashlib.new(self.descriptor.digest.algorithm)
        self.out.seek(0)
        self.out.truncate()

    def add(self, data: bytes) -> None:
        self.out.write(data)
        self.hasher.update(data)
        self.have += len(data)


class Puller:
    """Reads one repository through a session, for several threads if need be.

    Raises DockertoolsError that names the image for all that goes wrong.
    """

    def __init__(
        self, session: Session, image: RemoteImage, mirrors: Iterable[Endpoint] = (), *, actions: str = "pull"
    ) -> None:
        self._session, self._image = session, image
        self._accesses = [
            *(Access(mirror, mirror.host, image.repository) for mirror in mirrors),
            Access(image.endpoint(), image.registry, image.repository, actions),
        ]

    def manifest(self, tag_or_digest: str, expected: Descriptor | None = None) -> FetchedManifest:
        """A manifest or an index; `expected` when its size is known. A digest is compared, a tag is believed."""
        what = f"{self._image.location()}: manifest {shown(tag_or_digest)}"
        digest = Digest.parse(tag_or_digest) if ":" in tag_or_digest else None
        limit = min(expected.size, MAX_MANIFEST) if expected else MAX_MANIFEST
        data, media_type = self._from_any(lambda access: self._manifest(access, tag_or_digest, limit, what), what)
        if digest:
            _compare(Digest(digest.algorithm, hashlib.new(digest.algorithm, data).hexdigest()), digest, what)
        if expected and len(data) != expected.size:
            raise DockertoolsError(f"{what}: {len(data)} bytes, but its descriptor says {expected.size}")
        return FetchedManifest(
            Descriptor(_media_type(data, media_type, what), digest or Digest.of(data), len(data)), data
        )

    def blob(self, descriptor: Descriptor, out: Sink) -> None:
        """The blob's bytes into `out`, from its start. They are compared with the descriptor."""
        what = f"{self._image.location()}: blob {descriptor.digest}"

        def fetch(access: Access) -> None:
            download = _Download(descriptor, out)
            self._download(access, download, what)
            _compare(Digest(descriptor.digest.algorithm, download.hasher.hexdigest()), descriptor.digest, what)

        self._from_any(fetch, what)

    def _from_any(self, fetch: Callable[[Access], T], what: str) -> T:
        """What the first gives that can; of several failures all are told."""
        failed: list[str] = []
        for access in self._accesses:
            try:
                return fetch(access)
            except DockertoolsError as error:
                if len(self._accesses) == 1:
                    raise
                failed.append(f"{access.endpoint.host}: {str(error).removeprefix(f'{what}: ')}")
        raise DockertoolsError(f"{what}: " + "; ".join(failed))

    def _manifest(self, access: Access, name: str, limit: int, what: str) -> tuple[bytes, str]:
        def attempt() -> tuple[bytes, str]:
            with self._get(access, f"manifests/{name}", {"Accept": ACCEPT}) as response:
                if response.status != 200:
                    raise self._session.problem(response, what, "no such tag or manifest")
                try:
                    data = response.read_all(limit)
                except DockertoolsError as error:
                    raise DockertoolsError(f"{what}: {error}") from error
                return data, response.headers.get("Content-Type", "")

        return self._session.retrying(attempt, what)

    def _download(self, access: Access, download: _Download, what: str) -> None:
        failures, start = 0, 0
        while True:
            try:
                return self._download_some(access, download, what)
            except Transient as error:
                failures = 1 if download.have - start >= PROGRESS else failures + 1
                start = download.have
                self._session.pause(error, failures, what)

    def _download_some(self, access: Access, download: _Download, what: str) -> None:
        """The rest of a blob, or as much of it as comes: then Transient is raised."""
        size, begin = download.descriptor.size, download.have
        # RFC 9110, 14.2: who knows no ranges sends all of it again.
        headers = {"Range": f"bytes={begin}-"} if begin else {}
        with self._get(access, f"blobs/{download.descriptor.digest}", headers) as response:
            if response.status not in (200, 206):
                raise self._session.problem(response, what, "no such blob")
            is_rest = response.status == 206
            if is_rest and not response.headers.get("Content-Range", "").startswith(f"bytes {begin}-"):
                raise DockertoolsError(f"{what}: asked for its bytes from {begin}, got another range")
            position, length = (begin if is_rest else 0), response.length()
            if length is not None and position + length != size:
                raise DockertoolsError(f"{what}: {position + length} bytes, but its descriptor says {size}")
            while data := response.read(CHUNK if position < size else 1):
                if position + len(data) > size:
                    raise DockertoolsError(f"{what}: more than the {size} bytes of its descriptor")
                # A second answer begins at 0 where ranges are not known; what is there already is not written again.
                download.add(data[max(0, download.have - position) :])
                position += len(data)
            if position < size:
                raise Transient(f"the connection dropped after {position} of {size} bytes")

    def _get(self, access: Access, path: str, headers: dict[str, str]) -> Response:
        endpoint = self._session.reached(access.endpoint)
        return self._session.open("GET", endpoint.url(f"{access.repository}/{path}"), access, headers)


def _compare(found: Digest, wanted: Digest, what: str) -> None:
    if found != wanted:
        raise DockertoolsError(f"{what}: the bytes that came have another digest, {found}")


def _media_type(data: bytes, header: str, what: str) -> str:
    """What a manifest is, as it says itself; where it does not, as the registry or its shape says."""
    value = canonical_json.decode_object(data, what)
    known = INDEXES | MANIFESTS
    said = value.get("mediaType") or header.partition(";")[0].strip().lower()
    if said in known:
        return str(said)
    if value.get("schemaVersion") == 1:
        raise DockertoolsError(f"{what}: of Docker's schema 1, which has no digests of layers: push the image again")
    if isinstance(value.get("manifests"), list):
        return OCI_INDEX
    if isinstance(value.get("layers"), list) and isinstance(value.get("config"), dict):
        return OCI_MANIFEST
    raise DockertoolsError(f"{what}: neither a manifest nor an index, but {shown(said)}")
