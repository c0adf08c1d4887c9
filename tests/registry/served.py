"""A registry of the tests' own: it does what it is told, right or wrong, and remembers what it was asked."""

import base64
import json
import select
import socket
import ssl
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.registry.images import Content, digest

Fault = Callable[["Handler", bytes], None]
"""Answers a request in place of the right answer, which it is given."""


@dataclass(frozen=True)
class Request:
    """What somebody asked."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.path).query)


@dataclass
class Rules:
    """How a registry behaves."""

    content: Content = field(default_factory=Content)
    basic: tuple[str, str] | None = None
    realm: str = ""
    """Of a token server, whose tokens alone are taken."""
    tokens: set[str] = field(default_factory=set)
    faults: dict[str, deque[Fault]] = field(default_factory=lambda: defaultdict(deque))
    """By a part of `METHOD path`; each is used once."""
    requests: list[Request] = field(default_factory=list)
    ranges: bool = True
    uploads: dict[str, bytearray] = field(default_factory=dict)
    """What has come of blobs so far, by the id of the upload."""
    begun: int = 0
    referrers: bool = False
    """Whether it knows OCI 1.1's referrers."""
    mounts: dict[str, bytes] = field(default_factory=dict)
    """Blobs by `repository digest` that other repositories have."""
    keeps: bool = False
    """Whether connections stay open (HTTP/1.1)."""
    connections: int = 0
    answer: Callable[[Request], tuple[int, dict[str, str], bytes]] | None = None
    """For a server that is no registry."""

    def fail(self, part: str, *faults: Fault) -> None:
        self.faults[part].extend(faults)


class Handler(BaseHTTPRequestHandler):
    rules: Rules
    has_answered = False

    def do_GET(self) -> None:
        self._served()

    def do_POST(self) -> None:
        self._served()

    def do_HEAD(self) -> None:
        self._served()

    def do_PATCH(self) -> None:
        self._served()

    def do_PUT(self) -> None:
        self._served()

    def setup(self) -> None:
        self.rules.connections += 1
        super().setup()

    def body(self) -> Iterator[bytes]:
        """The rest of a request's body, as it comes."""
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline() or b"0", 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        left = int(self.headers.get("Content-Length", "0"))
        while left and (data := self.rfile.read(min(left, 1 << 16))):
            yield data
            left -= len(data)

    def do_CONNECT(self) -> None:
        """As a proxy: bytes in both directions, whatever they mean."""
        self.rules.requests.append(Request(self.command, self.path, dict(self.headers)))
        if self.rules.basic and "Proxy-Authorization" not in self.headers:
            self.send(407, {}, b"")
            return
        host, _, port = self.path.partition(":")
        with socket.create_connection((host, int(port))) as there:
            self.send_response(200)
            self.end_headers()
            pairs = {self.connection: there, there: self.connection}
            while True:
                for ready in select.select([*pairs], [], [], 10)[0]:
                    if not (data := ready.recv(1 << 16)):
                        self.close_connection = True
                        return
                    pairs[ready].sendall(data)

    def _served(self) -> None:
        body = b""
        if self.command in ("PATCH", "PUT") and not self.rules.answer:
            # A fault may be one in the middle of a body, so it comes before that was read.
            for part, faults in self.rules.faults.items():
                if part in f"{self.command} {self.path}" and faults:
                    self.rules.requests.append(Request(self.command, self.path, dict(self.headers)))
                    faults.popleft()(self, b"")
                    self.close_connection = True
                    if self.has_answered:
                        self._linger()
                    return
        body = b"".join(self.body())
        request = Request(self.command, self.path, dict(self.headers), body)
        self.rules.requests.append(request)
        if self.rules.answer:
            self.send(*self.rules.answer(request))
            return
        if not self._is_let_in():
            return
        data, media_type = self._found()
        for part, faults in self.rules.faults.items():
            if part in f"{self.command} {self.path}" and faults:
                faults.popleft()(self, data or b"")
                return
        if self.command in ("POST", "PATCH", "PUT") or "/blobs/uploads/" in self.path:
            self._pushed(request)
        elif data is None:
            self.send(404, {}, json.dumps({"errors": [{"code": "UNKNOWN", "message": "it is unknown"}]}).encode())
        elif self.rules.ranges and (begin := self.headers.get("Range", "").removeprefix("bytes=").rstrip("-")):
            said = f"bytes {begin}-{len(data) - 1}/{len(data)}"
            self.send(206, {"Content-Range": said}, data[int(begin) :])
        else:
            self.send(200, {"Content-Type": media_type}, data)

    def _linger(self) -> None:
        """Read what still comes, as a registry does: a connection that is closed before takes the answer with it."""
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(5)
            while self.connection.recv(1 << 16):
                pass

    def _is_let_in(self) -> bool:
        given = self.headers.get("Authorization", "")
        if self.rules.basic:
            wanted = "Basic " + base64.b64encode(":".join(self.rules.basic).encode()).decode()
            if given != wanted:
                self.send(401, {"WWW-Authenticate": 'Basic realm="here"'}, b"")
                return False
        if self.rules.realm and given.removeprefix("Bearer ") not in self.rules.tokens:
            repository = self.path.removeprefix("/v2/").rsplit("/", 2)[0]
            repository = repository.removesuffix("/blobs")
            scope = f"repository:{repository}:pull"
            self.send(
                401,
                {"WWW-Authenticate": f'Bearer realm="{self.rules.realm}",service="here",scope="{scope}"'},
                b'{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}',
            )
            return False
        return True

    def _pushed(self, request: Request) -> None:
        """Distribution spec 1.1, "Push"."""
        rules, (base, _, name) = self.rules, request.path.partition("?")[0].rpartition("/")
        if base.endswith("/manifests"):
            media_type = request.headers["Content-Type"]
            rules.content.add(request.body, media_type, *([] if ":" in name else [name]))
            headers = {"Docker-Content-Digest": digest(request.body)}
            subject = json.loads(request.body).get("subject")
            self.send(201, headers | ({"OCI-Subject": subject["digest"]} if rules.referrers and subject else {}), b"")
            return
        if request.method == "POST":
            mount = " ".join(request.query.get(key, [""])[0] for key in ("from", "mount"))
            if mount in rules.mounts:
                rules.content.blobs[mount.partition(" ")[2]] = rules.mounts[mount]
                self.send(201, {}, b"")
                return
            rules.begun += 1
            name = f"upload{rules.begun}"
            rules.uploads[name] = bytearray()
        if name not in rules.uploads:
            self.send(404, {}, b'{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN","message":"no such upload"}]}')
            return
        upload, headers = rules.uploads[name], {"Location": f"{base}/{name}?state={len(rules.requests)}"}
        begin = request.headers.get("Content-Range", f"{len(upload)}-").partition("-")[0]
        if int(begin) != len(upload):
            self.send(416, headers | {"Range": f"0-{max(0, len(upload) - 1)}"}, b"")
            return
        upload += request.body
        headers["Range"] = f"0-{max(0, len(upload) - 1)}"
        if request.method != "PUT":
            self.send(204 if request.method == "GET" else 202, headers, b"")
            return
        wanted = request.query["digest"][0]
        if digest(bytes(upload)) != wanted:
            self.send(400, {}, b'{"errors":[{"code":"DIGEST_INVALID","message":"digest did not match"}]}')
            return
        rules.content.blobs[wanted] = bytes(rules.uploads.pop(name))
        self.send(201, {"Docker-Content-Digest": wanted}, b"")

    def _found(self) -> tuple[bytes | None, str]:
        kind, _, name = self.path.rpartition("/")
        if kind.endswith("/manifests"):
            return self.rules.content.manifests.get(name, (None, ""))
        return self.rules.content.blobs.get(name), "application/octet-stream"

    def send(self, status: int, headers: dict[str, str], body: bytes, *, length: int | None = None) -> None:
        """An answer; with another `length` than that of `body` the connection ends too early, or late."""
        self.has_answered = True
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body) if length is None else length), **headers}.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """A client that went away is what some tests are about."""


@contextmanager
def served(rules: Rules, certificate: Path | None = None) -> Iterator[str]:
    """`127.0.0.1:PORT`, where the rules are obeyed; by TLS with a certificate."""
    handler = type(
        "RulesHandler", (Handler,), {"rules": rules, "protocol_version": "HTTP/1.1" if rules.keeps else "HTTP/1.0"}
    )
    server = _Server(("127.0.0.1", 0), handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def status(number: int, **headers: str) -> Fault:
    return lambda handler, _: handler.send(number, {k.replace("_", "-"): v for k, v in headers.items()}, b"")


def dropped_after(count: int) -> Fault:
    """The connection ends in the middle, of a first answer as of one to a range."""

    def fault(handler: Handler, data: bytes) -> None:
        begin = int(handler.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        headers = {"Content-Range": f"bytes {begin}-{len(data) - 1}/{len(data)}"} if begin else {}
        handler.send(206 if begin else 200, headers, data[begin : begin + count], length=len(data) - begin)

    return fault


def without_an_answer(handler: Handler, _: bytes) -> None:
    handler.close_connection = True


def replaced(data: bytes) -> Fault:
    return lambda handler, _: handler.send(200, {}, data)


def chunked(extra: bytes = b"") -> Fault:
    """Without a length: nobody knows the end before it comes."""

    def fault(handler: Handler, data: bytes) -> None:
        handler.send(200, {"Content-Length": "", "Connection": "close"}, data + extra)

    return fault


def redirected(to: str, number: int = 307) -> Fault:
    return lambda handler, _: handler.send(number, {"Location": to}, b"")


def cut_after(count: int) -> Fault:
    """The connection ends in the middle of a body, of which so much was kept."""

    def fault(handler: Handler, _: bytes) -> None:
        name = handler.path.partition("?")[0].rpartition("/")[2]
        come = b""
        for data in handler.body():
            come += data
            if len(come) >= count:
                break
        if name in handler.rules.uploads:
            handler.rules.uploads[name] += come[:count]
        handler.close_connection = True

    return fault


def forgotten(handler: Handler, _: bytes) -> None:
    """The registry knows its uploads no more, as after a restart."""
    handler.rules.uploads.clear()
    handler.close_connection = True
