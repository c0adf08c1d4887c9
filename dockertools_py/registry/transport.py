"""One HTTP request and its answer: TLS, proxies and timeouts; no redirects, no credentials, no second try.

Connections are kept and used again: a push asks a registry a hundred small questions. One that was closed while nobody
used it is no failure: another one is taken.
"""

import base64
import http.client
import select
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from typing import Self
from urllib.parse import unquote, urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]

from dockertools_py import __version__
from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.pack.verified import Buffer
from dockertools_py.registry.remote import origin

TIMEOUT = 60.0
"""Seconds without a byte after which a connection counts as dropped."""
COMMIT_TIMEOUT = 300.0
"""The same after a body was sent: a registry may copy a blob of gigabytes before it answers."""
MAX_DRAINED = 64 << 10
"""Bytes of an answer that are read to its end so that its connection can be used again."""
USER_AGENT = f"dockertools-py/{__version__}"


class Unreachable(DockertoolsError):
    """A registry that nothing can be asked of: not to be found, silent, not to be trusted, or it lets nobody in."""


class Transient(Exception):
    """What may go better the next time; `retry_after` seconds, where the server said so. Never seen by users.

    `is_down`: nobody listens there, and nobody has before.
    """

    def __init__(self, message: str, retry_after: float | None = None, *, is_down: bool = False) -> None:
        super().__init__(message)
        self.retry_after, self.is_down = retry_after, is_down


@dataclass(frozen=True, slots=True)
class Stream:
    """A body that is made while it is sent, anew for each try; `length` in bytes, None where nobody knows yet."""

    chunks: Callable[[], Iterable[Buffer]]
    length: int | None


Body = bytes | Stream | None


@dataclass(frozen=True, slots=True)
class Proxies:
    """A proxy for `http` and for `https`, and the hosts that are asked without one."""

    by_scheme: Mapping[str, str] = field(default_factory=dict)
    without: str = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """From http_proxy, https_proxy, all_proxy and no_proxy, in lower case before upper case."""

        def value(name: str) -> str:
            return environment.get(name) or environment.get(name.upper()) or ""

        by_scheme = {scheme: value(f"{scheme}_proxy") or value("all_proxy") for scheme in ("http", "https")}
        return cls(by_scheme, value("no_proxy"))

    def choose(self, scheme: str, host: str, port: int) -> str | None:
        """The proxy to ask, if any."""
        proxy = self.by_scheme.get(scheme)
        # None of the environment: what is passed is looked at alone.
        return None if not proxy or proxy_bypass_environment(f"{host}:{port}", {"no": self.without}) else proxy


class Response:
    """Status, headers and body of an answer; to be closed, best by `with`."""

    def __init__(self, answer: http.client.HTTPResponse, url: str, give_up: Callable[[bool], None]) -> None:
        self.url, self.status, self.headers = url, answer.status, answer.headers
        self._answer, self._give_up = answer, give_up

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connection up, or back when all of the answer was read."""
        answer = self._answer
        try:
            if not answer.isclosed() and answer.length is not None and answer.length <= MAX_DRAINED:
                answer.read()
        except (OSError, http.client.HTTPException):
            pass  # who closes wants no more of it
        is_whole = answer.isclosed()
        answer.close()
        self._give_up(is_whole and not answer.will_close)

    def read(self, size: int) -> bytes:
        """At most `size` bytes, empty at the end. Raises Transient when the connection drops."""
        try:
            return self._answer.read(size)
        except (OSError, http.client.HTTPException) as error:
            raise Transient(f"the connection dropped ({_reason(error)})") from error

    def read_all(self, limit: int) -> bytes:
        """The whole body. Raises DockertoolsError for more than `limit` bytes, Transient for fewer than were announced."""
        parts: list[bytes] = []
        left = limit + 1
        while left and (data := self.read(left)):
            parts.append(data)
            left -= len(data)
        body = b"".join(parts)
        if len(body) > limit:
            raise DockertoolsError(f"more than the {limit} bytes that are read")
        length = self.length()
        if length is not None and len(body) < length:
            raise Transient(f"the connection dropped after {len(body)} of {length} bytes")
        return body

    def length(self) -> int | None:
        """Content-Length in bytes; None where the server did not say."""
        text = self.headers.get("Content-Length", "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


class Transport:
    """Makes connections; `verify` false accepts any certificate, `ca_file` holds the only ones to be trusted."""

    def __init__(
        self, proxies: Proxies, *, verify: bool = True, ca_file: str | None = None, timeout: float = TIMEOUT
    ) -> None:
        self._proxies, self._timeout = proxies, timeout
        self._verify, self._ca_file = verify, ca_file
        self._context: ssl.SSLContext | None = None
        self._idle: dict[tuple[str, str, int, str | None], list[http.client.HTTPConnection]] = {}
        self._lock = Lock()

    def request(self, method: str, url: str, headers: Mapping[str, str], body: Body = None) -> Response:
        """Ask once. Raises Transient for what a network does, DockertoolsError for what it will do again."""
        scheme, host, port = origin(url)
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        own = {"User-Agent": USER_AGENT, **headers}
        proxy = self._proxies.choose(scheme, host, port)
        if proxy and scheme == "http":
            target = f"http://{parts.netloc.rpartition('@')[2]}{target}"
            own |= {"Host": parts.netloc.rpartition("@")[2], **_proxy_authorization(proxy)}
        place = (scheme, host, port, proxy)
        while True:
            connection = self._kept(place)
            is_kept = connection is not None
            connection = connection or self._connection(scheme, host, port, proxy)
            try:
                answer = _asked(connection, method, target, own, body)
            except BaseException as error:
                connection.close()
                # Of a body that nobody has at hand any more a part may have come: its sender has to ask.
                if is_kept and isinstance(error, _CLOSED) and not isinstance(body, Stream):
                    continue
                if isinstance(error, _BodyFailed) and error.__cause__:
                    raise error.__cause__ from None
                where = f"{host}:{port}" + (f" by the proxy {_proxy_name(proxy)}" if proxy else "")
                if isinstance(error, ConnectionRefusedError) and place not in self._idle:
                    raise Transient(f"{where}: {_reason(error)}", is_down=True) from error
                if isinstance(error, (OSError, http.client.HTTPException, ValueError)):
                    raise _told(error, where) from error
                raise
            with self._lock:
                self._idle.setdefault(place, [])  # somebody is there
            return Response(answer, url, partial(self._give_up, place, connection))

    def _kept(self, place: tuple[str, str, int, str | None]) -> http.client.HTTPConnection | None:
        """One that is open still: what can be read of it unasked is its end."""
        while True:
            with self._lock:
                idle = self._idle.get(place)
                connection = idle.pop() if idle else None
            if connection is None or not (connection.sock and select.select([connection.sock], [], [], 0)[0]):
                return connection
            connection.close()

    def _give_up(
        self, place: tuple[str, str, int, str | None], connection: http.client.HTTPConnection, is_usable: bool
    ) -> None:
        if not is_usable:
            connection.close()
            return
        with self._lock:
            self._idle.setdefault(place, []).append(connection)

    def _connection(self, scheme: str, host: str, port: int, proxy: str | None) -> http.client.HTTPConnection:
        if scheme == "http":
            at = _proxy_address(proxy) if proxy else (host, port)
            return http.client.HTTPConnection(*at, timeout=self._timeout)
        at = _proxy_address(proxy) if proxy else (host, port)
        secure = http.client.HTTPSConnection(*at, timeout=self._timeout, context=self._tls())
        if proxy:
            secure.set_tunnel(host, port, _proxy_authorization(proxy))
        return secure

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            try:
                self._context = ssl.create_default_context(cafile=self._ca_file)
            except (OSError, ssl.SSLError) as error:
                raise Unreachable(f"certificates in {self._ca_file}: {_reason(error)}") from error
            if not self._verify:
                self._context.check_hostname = False
                self._context.verify_mode = ssl.CERT_NONE
        return self._context


class _BodyFailed(Exception):
    """The body could not be made: no failure of the network, whatever its cause is."""


_CLOSED = (BrokenPipeError, ConnectionResetError, http.client.BadStatusLine, ssl.SSLEOFError)
"""RemoteDisconnected is one of them."""


def _asked(
    connection: http.client.HTTPConnection, method: str, target: str, headers: Mapping[str, str], body: Body
) -> http.client.HTTPResponse:
    """The answer, also one that comes before all of the body was sent: somebody is not let in, or sent elsewhere."""
    own = dict(headers)
    sent: bytes | Iterator[Buffer] | None = _marked(body.chunks()) if isinstance(body, Stream) else body
    if isinstance(body, Stream) and body.length is not None:
        own["Content-Length"] = str(body.length)
    is_chunked = isinstance(body, Stream) and body.length is None
    if is_chunked:
        own["Transfer-Encoding"] = "chunked"
    try:
        connection.request(method, target, body=sent, headers=own, encode_chunked=is_chunked)
    except (BrokenPipeError, ConnectionResetError) as error:
        try:
            return connection.getresponse()
        except (OSError, http.client.HTTPException):
            raise error from None
    if isinstance(body, Stream) and connection.sock:
        timeout = connection.sock.gettimeout()
        connection.sock.settimeout(max(COMMIT_TIMEOUT, timeout or 0))
        try:
            return connection.getresponse()
        finally:
            if connection.sock:
                connection.sock.settimeout(timeout)
    return connection.getresponse()


def _marked(chunks: Iterable[Buffer]) -> Iterator[Buffer]:
    try:
        yield from chunks
    except Exception as error:
        raise _BodyFailed from error


def _told(error: Exception, where: str) -> Exception:
    if isinstance(error, ssl.SSLCertVerificationError):
        return Unreachable(
            f"{where}: its certificate is not trusted ({shown(error.verify_message)}): name the file of your own "
            "authority in SSL_CERT_FILE (or push --ca-file), or say tlsVerify = false (--insecure)"
        )
    if isinstance(error, ssl.SSLError) and error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST"):
        return Unreachable(f"{where}: does not speak TLS: for plain http write http:// before the name")
    if isinstance(error, socket.gaierror) and error.errno == socket.EAI_NONAME:
        return Unreachable(f"{where}: no such host, or no network")
    if isinstance(error, (ValueError, http.client.InvalidURL)):  # control characters in a path
        return DockertoolsError(f"{where}: not a request that can be made")
    return Transient(f"{where}: {_reason(error)}")


def _reason(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return shown(text or type(error).__name__)


def _proxy_address(proxy: str) -> tuple[str, int]:
    try:
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        address = parts.hostname, parts.port or 80
    except ValueError:
        parts, address = urlsplit(""), (None, 80)
    if parts.scheme != "http" or not address[0]:  # without its value, which may hold a password
        raise DockertoolsError("the proxy of the environment is no http proxy: write http://host:port")
    return address[0], address[1]


def _proxy_name(proxy: str) -> str:
    host, port = _proxy_address(proxy)
    return f"{host}:{port}"


def _proxy_authorization(proxy: str) -> dict[str, str]:
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    if parts.username is None:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Proxy-Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
