"""One blob on its way to a repository (distribution spec 1.1, "Pushing a blob in chunks"), whatever happens meanwhile.

A blob whose size is known goes as the body of the PUT that ends the upload: two requests, which every registry takes.
One in the making goes as one PATCH whose length nobody knows yet, as Docker sends them. With a chunk size, for proxies that
allow no large body, it goes in pieces. After a break the registry is asked how much it has, and the rest follows; one that
cannot say is sent all of it again.
"""

import re
from collections.abc import Callable, Iterator
from urllib.parse import quote

from dockertools_py.errors import DockertoolsError
from dockertools_py.model.digest import Digest
from dockertools_py.pack.verified import Buffer
from dockertools_py.registry.content import Content
from dockertools_py.registry.remote import joined
from dockertools_py.registry.session import Access, Session
from dockertools_py.registry.transport import Response, Stream, Transient

PROGRESS = 1 << 20
"""An upload that went on by so many bytes before it broke has all its attempts again."""
OCTETS = "application/octet-stream"

_RANGE = re.compile(r"(?:bytes=)?0-([0-9]{1,18})")
_MINIMUM = re.compile(r"[0-9]{1,12}")
_LOST = frozenset({404, 416})
"""The registry knows this upload no more, or is elsewhere in it than we are."""


class Upload:
    """Sends one blob; `find_digest` waits for its digest, `moved` is told how many bytes were sent."""

    def __init__(
        self,
        session: Session,
        access: Access,
        content: Content,
        find_digest: Callable[[], Digest],
        *,
        what: str,
        is_there: Callable[[Digest], bool],
        chunk: int | None = None,
        moved: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._session, self._access, self._content, self._find_digest = session, access, content, find_digest
        self._what, self._chunk, self._moved, self._is_there = what, chunk, moved, is_there
        self._location = ""
        self._position = 0
        """Bytes that the registry has, as far as we know."""
        self._was_broken = False

    def run(self) -> Digest:
        """The digest under which the registry has it then. Raises DockertoolsError."""
        failures, best = 0, 0
        while True:
            try:
                if self._was_broken and self._location:
                    self._look()
                if self._position - best >= PROGRESS:
                    failures, best = 0, self._position
                return self._run()
            except Transient as error:
                self._was_broken = True
                if self._position - best >= PROGRESS:
                    failures, best = 0, self._position
                failures += 1
                self._session.pause(error, failures, self._what)

    def _run(self) -> Digest:
        if not self._location:
            # The registry may have had all of it before its answer was lost.
            if self._was_broken and self._content.size() is not None and self._is_there(self._find_digest()):
                return self._find_digest()
            self._begin()
        while not self._is_last_piece():
            self._patch()
        digest = self._find_digest()
        self._put(digest)
        return digest

    def _is_last_piece(self) -> bool:
        size = self._content.size()
        return size is not None and (not self._chunk or size - self._position <= self._chunk)

    def _begin(self) -> None:
        url = self._session.reached(self._access.endpoint).url(f"{self._access.repository}/blobs/uploads/")
        with self._session.open("POST", url, self._access, {}) as response:
            if response.status != 202:
                raise self._session.problem(response, self._what, "no such repository: make it first")
            self._follow(response, 0)
            minimum = response.headers.get("OCI-Chunk-Min-Length", "")
            if self._chunk and _MINIMUM.fullmatch(minimum):
                self._chunk = max(self._chunk, int(minimum))

    def _patch(self) -> None:
        """Send the next piece, or all that will come."""
        begin = self._position
        end = None if not self._chunk else min(self._content.available(begin + self._chunk), begin + self._chunk)
        if end == begin:  # the last piece was the last one, after all
            return
        headers = {"Content-Type": OCTETS}
        if end is not None:
            headers["Content-Range"] = f"{begin}-{end - 1}"
        with self._session.open("PATCH", self._location, self._access, headers, self._body(begin, end)) as response:
            if response.status != 202:
                raise self._problem(response)
            sent = end if end is not None else self._content.size()
            assert sent is not None, "all of it was sent, so its size is known"
            self._follow(response, sent)

    def _put(self, digest: Digest) -> None:
        size, begin = self._content.size(), self._position
        separator = "&" if "?" in self._location else "?"
        url = f"{self._location}{separator}digest={quote(str(digest), safe='')}"
        headers = {"Content-Type": OCTETS}
        if begin and begin != size:
            headers["Content-Range"] = f"{begin}-{(size or 0) - 1}"
        with self._session.open("PUT", url, self._access, headers, self._body(begin, size)) as response:
            if response.status not in (201, 204):
                raise self._problem(response)
        self._position = size or 0

    def _body(self, begin: int, end: int | None) -> Stream:
        def chunks() -> Iterator[Buffer]:
            position = begin
            for chunk in self._content.chunks(begin, end):
                yield chunk
                position += len(chunk)
                self._moved(position)

        return Stream(chunks, None if end is None else end - begin)

    def _look(self) -> None:
        """Ask how much of it arrived before the connection broke; where nobody can say, begin again."""
        with self._session.open("GET", self._location, self._access, {}) as response:
            there = _RANGE.fullmatch(response.headers.get("Range", "").strip())
            # "0-0" is nothing at some, and one byte at others.
            if response.status == 204 and there and (have := int(there[1]) + 1) > 1:
                size = self._content.size()
                if have <= (have if size is None else size) and self._content.available(have) >= have:
                    self._follow(response, have)
                    return
        self._start_over()

    def _start_over(self) -> None:
        self._location, self._position = "", 0

    def _follow(self, response: Response, position: int) -> None:
        """Go on where an answer says, which may be another host. Raises DockertoolsError when it says nothing."""
        location = response.headers.get("Location") or self._location
        if not location:
            raise DockertoolsError(f"{self._what}: the registry does not say where to send it (no Location)")
        self._location, self._position = joined(response.url, location), position

    def _problem(self, response: Response) -> Exception:
        if response.status in _LOST or (response.status == 400 and self._was_broken):
            error = self._session.problem(response, self._what, "the upload is not known any more")
            if self._was_broken and response.status == 400:
                self._start_over()
            return Transient(str(error).removeprefix(f"{self._what}: "))
        if response.status == 413 and not self._chunk:
            return DockertoolsError(
                f"{self._what}: too large for the registry or a proxy before it (413): send it in pieces, "
                "--chunk-size 50M"
            )
        return self._session.problem(response, self._what, "no such upload")
