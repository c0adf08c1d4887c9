"""One HTTP request and its answer: TLS, proxies and timeouts; no redirects, no credentials, no second try."""

import base64
import http.client
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import unquote, urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]

from dockertools_py import __version__
from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.registry.remote import origin

TIMEOUT = 60.0
"""Seconds without a byte after which a connection counts as dropped."""
USER_AGENT = f"dockertools-py/{__version__}"


class Transient(Exception):
    """What may go better the next time; `retry_after` seconds, where the server said so. Never seen by users."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


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

    def __init__(self, connection: http.client.HTTPConnection, answer: http.client.HTTPResponse, url: str) -> None:
        self.url, self.status, self.headers = url, answer.status, answer.headers
        self._connection, self._answer = connection, answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connection up."""
        self._answer.close()
        self._connection.close()

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

    def request(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None) -> Response:
        """Ask once. Raises Transient for what a network does, DockertoolsError for what it will do again."""
        scheme, host, port = origin(url)
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        own = {"User-Agent": USER_AGENT, **headers}
        proxy = self._proxies.choose(scheme, host, port)
        connection = self._connection(scheme, host, port, proxy)
        if proxy and scheme == "http":
            target = f"http://{parts.netloc.rpartition('@')[2]}{target}"
            own |= {"Host": parts.netloc.rpartition("@")[2], **_proxy_authorization(proxy)}
        try:
            connection.request(method, target, body=body, headers=own)
            return Response(connection, connection.getresponse(), url)
        except BaseException as error:
            connection.close()
            if isinstance(error, (OSError, http.client.HTTPException, ValueError)):
                raise _told(error, host, port) from error
            raise

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
                raise DockertoolsError(f"certificates in {self._ca_file}: {_reason(error)}") from error
            if not self._verify:
                self._context.check_hostname = False
                self._context.verify_mode = ssl.CERT_NONE
        return self._context


def _told(error: Exception, host: str, port: int) -> Exception:
    where = f"{host}:{port}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return DockertoolsError(
            f"{where}: its certificate is not trusted ({shown(error.verify_message)}): name the file of your own "
            "authority in SSL_CERT_FILE, or say tlsVerify = false (--insecure)"
        )
    if isinstance(error, ssl.SSLError) and error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST"):
        return DockertoolsError(f"{where}: does not speak TLS: for plain http write http:// before the name")
    if isinstance(error, socket.gaierror) and error.errno == socket.EAI_NONAME:
        return DockertoolsError(f"{where}: no such host, or no network")
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


def _proxy_authorization(proxy: str) -> dict[str, str]:
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    if parts.username is None:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Proxy-Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
