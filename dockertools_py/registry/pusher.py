"""Pushing blobs and manifests to a repository (distribution spec 1.1, "Push"): a manifest after all that it names."""

from collections.abc import Callable
from urllib.parse import urlencode

from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model.descriptor import Descriptor
from dockertools_py.model.digest import Digest
from dockertools_py.registry.content import Content
from dockertools_py.registry.puller import Puller
from dockertools_py.registry.remote import RemoteImage
from dockertools_py.registry.session import Access, Session
from dockertools_py.registry.transport import Response
from dockertools_py.registry.upload import Upload

ACTIONS = "pull,push"


class Pusher:
    """Writes one repository through a session, for several threads. Raises DockertoolsError that names the repository.

    `chunk` is the largest body to send, in bytes.
    """

    def __init__(self, session: Session, image: RemoteImage, *, chunk: int | None = None) -> None:
        self.image = image
        self.puller = Puller(session, image, actions=ACTIONS)
        """Reads the same repository, as somebody who may push there."""
        self._session, self._chunk = session, chunk
        self._access = Access(image.endpoint(), image.registry, image.repository, ACTIONS)

    def blob_size(self, digest: Digest) -> int | None:
        """The size in bytes of a blob that is there, -1 where the registry does not say it; None when it is not there."""
        what = f"{self.image.location()}: blob {digest}"

        def attempt() -> int | None:
            with self._open("HEAD", f"blobs/{digest}", self._access) as response:
                if response.status == 404:
                    return None
                if response.status != 200:
                    raise self._session.problem(response, what, "")
                length = response.length()
                return -1 if length is None else length

        return self._session.retrying(attempt, what)

    def has(self, descriptor: Descriptor) -> bool:
        """Whether a blob of that digest and size is there."""
        return self.blob_size(descriptor.digest) in (descriptor.size, -1)

    def mount(self, digest: Digest, repository: str) -> bool:
        """Whether a blob of another repository of the registry is here now too, without being sent."""
        access = Access(
            self._access.endpoint, self._access.registry, self._access.repository, ACTIONS, reads=(repository,)
        )
        query = urlencode({"mount": str(digest), "from": repository})
        what = f"{self.image.location()}: mount of {digest} from {repository}"

        def attempt() -> bool:
            with self._open("POST", f"blobs/uploads/?{query}", access) as response:
                if response.status == 202:  # an upload was begun instead, of which nobody will hear again
                    return False
                if response.status >= 500 or response.status == 429:
                    raise self._session.problem(response, what, "")
                return response.status == 201

        try:
            return self._session.retrying(attempt, what)
        except DockertoolsError:
            return False  # then it is sent, and what is really wrong shows there

    def upload(
        self, content: Content, find_digest: Callable[[], Digest], label: str, moved: Callable[[int], None]
    ) -> Digest:
        """Send a blob, which may be in the making. Returns its digest; the registry has compared it."""
        what = f"{self.image.location()}: {label}"

        def is_there(digest: Digest) -> bool:
            return self.blob_size(digest) in (content.size(), -1)

        return Upload(
            self._session,
            self._access,
            content,
            find_digest,
            what=what,
            is_there=is_there,
            chunk=self._chunk,
            moved=moved,
        ).run()

    def put_manifest(self, name: str, data: bytes, media_type: str) -> Response:
        """A manifest or an index under a tag or its digest; the answer, of which the headers may mean something."""
        what = f"{self.image.location()}: manifest {shown(name)}"
        digest = Digest.of(data)

        def attempt() -> Response:
            headers = {"Content-Type": media_type}
            with self._open("PUT", f"manifests/{name}", self._access, headers, data) as response:
                if response.status not in (201, 202):
                    raise self._session.problem(response, what, "no such repository, or it lacks a part of the image")
                said = response.headers.get("Docker-Content-Digest", str(digest))
                if said != str(digest):
                    raise DockertoolsError(f"{what}: the registry has it as {shown(said)}, but it is {digest}")
                return response

        return self._session.retrying(attempt, what)

    def _open(
        self, method: str, path: str, access: Access, headers: dict[str, str] | None = None, body: bytes | None = None
    ) -> Response:
        url = self._session.reached(access.endpoint).url(f"{access.repository}/{path}")
        return self._session.open(method, url, access, headers or {}, body)
