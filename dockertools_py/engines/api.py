"""HTTP with an engine: small questions with bounded answers, and one long upload whose length nobody knows before."""

import http.client
import select
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from dockertools_py.engines.endpoint import Endpoint, Tls
from dockertools_py.engines.engine import Refused, Unreachable, Write, WriteArchive
from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model import canonical_json
from dockertools_py.pack.verified import Buffer

CONNECT_TIMEOUT = 10.0
SSH_SECONDS = 5.0
"""For ssh to end when its standard input has."""
ANSWER_TIMEOUT = 120.0
"""Seconds without a byte of an answer to a question. What follows an upload may take an engine any time."""
MAX_ANSWER = canonical_json.MAX_JSON_BYTES
_SMALL = 64 << 10


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers (names in lower case) and body."""

    status: int
    headers: Mapping[str, str]
    data: bytes

    def message(self) -> str:
        """What an engine says of an error, on one line."""
        try:
            text = canonical_json.decode_object(self.data, "").get("message")
        except DockertoolsError:
            text = None
        return shown(text if isinstance(text, str) else self.data.strip() or f"status {self.status}", 1000)

    def object(self, what: str) -> Mapping[str, Any]:
        """The JSON object that it should be. Raises DockertoolsError, with `what` was asked for."""
        self._check(what)
        return canonical_json.decode_object(self.data, what)

    def list(self, what: str) -> list[Any]:
        """The JSON list that it should be, likewise."""
        self._check(what)
        return canonical_json.decode_list(self.data, what)

    def _check(self, what: str) -> None:
        if self.status != 200:
            raise DockertoolsError(f"{what}: {self.message()}")


class Api:
    """One connection, made when it is needed and kept."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._connection: _Connection | None = None

    def connect(self) -> None:
        """Raises Unreachable when nobody listens."""
        self._connected()

    def close(self) -> None:
        """Give the connection up."""
        if self._connection:
            self._connection.close()
            self._connection = None

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Answer:
        """Ask; any status is an answer. Raises DockertoolsError when none comes."""
        return self._request("GET", path, query)

    def post(self, path: str, query: Mapping[str, str] | None = None) -> Answer:
        """Have something done, likewise."""
        return self._request("POST", path, query)

    def upload(self, path: str, write_archive: WriteArchive, query: Mapping[str, str] | None = None) -> Answer:
        """POST a tar. Whoever reads it may refuse it before its end: that answer counts then.

        Raises Refused when it hangs up in the middle without one.
        """
        # What can be read of a connection unasked is its end: Podman gives one up after ten seconds of silence.
        if self._connection and select.select([self._connection.sock], [], [], 0)[0]:
            self.close()
        connection = self._connected()
        try:
            self._write(connection, path, write_archive, query)
            return self._answered(connection)
        except _HungUp as error:
            return self._refusal(connection, error)
        finally:
            # What is left of a broken upload would be read as the next request.
            self.close()

    def _write(
        self, connection: "_Connection", path: str, write_archive: WriteArchive, query: Mapping[str, str] | None
    ) -> None:
        sock = connection.sock
        assert sock

        def send(data: Buffer) -> None:
            # Only what the socket says: files that an archive is made of have errors too.
            try:
                sock.sendall(data)
            except OSError as error:
                raise _HungUp(error.strerror or str(error)) from error

        connection.putrequest("POST", _target(path, query))
        connection.putheader("Content-Type", "application/x-tar")
        connection.putheader("Transfer-Encoding", "chunked")
        try:
            connection.endheaders()
        except OSError as error:
            raise _HungUp(error.strerror or str(error)) from error
        sock.settimeout(None)
        _write_chunked(send, write_archive)

    def _refusal(self, connection: "_Connection", error: "_HungUp") -> Answer:
        """What was said before hanging up. Raises Refused when that is nothing, or no refusal."""
        assert connection.sock
        connection.sock.settimeout(CONNECT_TIMEOUT)
        try:
            answer = self._answer(connection)
        except (OSError, http.client.HTTPException):
            raise Refused(f"hung up in the middle of the archive ({shown(error)})") from error
        if answer.status < 400 and b"rror" not in answer.data:
            raise Refused("stopped reading in the middle of the archive") from error
        return answer

    def _request(self, method: str, path: str, query: Mapping[str, str] | None) -> Answer:
        was_open = self._connection is not None
        try:
            return self._ask(method, path, query)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if not was_open:
                raise self._dropped(error) from error
        # An engine may close a connection that it kept: only then is the question asked twice.
        try:
            return self._ask(method, path, query)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise self._dropped(error) from error

    def _ask(self, method: str, path: str, query: Mapping[str, str] | None) -> Answer:
        connection = self._connected()
        assert connection.sock
        connection.sock.settimeout(ANSWER_TIMEOUT)
        connection.request(method, _target(path, query), headers={"Content-Length": "0"} if method == "POST" else {})
        return self._answer(connection)

    def _answered(self, connection: "_Connection") -> Answer:
        try:
            return self._answer(connection)
        except (OSError, http.client.HTTPException) as error:
            raise self._dropped(error) from error

    def _answer(self, connection: "_Connection") -> Answer:
        response = connection.getresponse()
        data = response.read(MAX_ANSWER + 1)
        if len(data) > MAX_ANSWER:
            self.close()
            raise DockertoolsError(f"{self.endpoint.url}: an answer of more than {MAX_ANSWER} bytes: is it an engine?")
        if response.length:  # so many bytes were announced besides; http.client says nothing of it
            raise http.client.IncompleteRead(data, response.length)
        headers = {name.lower(): value for name, value in response.getheaders()}
        if response.will_close:
            self.close()
        return Answer(response.status, headers, data)

    def _connected(self) -> "_Connection":
        if self._connection is None:
            connection = _Connection(self.endpoint)
            try:
                connection.connect()
            except OSError as error:
                raise _unreachable(self.endpoint, error) from error
            self._connection = connection
        return self._connection

    def _dropped(self, error: Exception) -> DockertoolsError:
        if isinstance(error, TimeoutError):
            return DockertoolsError(f"{self.endpoint.url}: no answer in {ANSWER_TIMEOUT:.0f} s")
        reason = shown(error) or type(error).__name__
        return DockertoolsError(f"{self.endpoint.url}: the connection dropped, or it speaks no HTTP ({reason})")


class _HungUp(Exception):
    """The other side reads no further."""


class _Connection(http.client.HTTPConnection):
    """HTTP over whatever leads to the endpoint."""

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint.host or "localhost", endpoint.port)
        self._endpoint = endpoint
        self._hang_up: Callable[[], None] = lambda: None

    def connect(self) -> None:
        """Open the socket."""
        match self._endpoint.scheme:
            case "unix":
                self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                self.sock.settimeout(CONNECT_TIMEOUT)
                try:
                    self.sock.connect(self._endpoint.path)
                except OSError:
                    self.close()
                    raise
            case "tcp":
                address = (self._endpoint.host, self._endpoint.port)
                self.sock = socket.create_connection(address, CONNECT_TIMEOUT)
                if self._endpoint.tls:
                    self.sock = _secured(self.sock, self._endpoint.host, self._endpoint.tls)
            case _:
                self.sock, self._hang_up = _dialled(self._endpoint)

    def close(self) -> None:
        """Close it; a program that carried it ends with it."""
        super().close()
        self._hang_up()
        self._hang_up = lambda: None


def _secured(sock: socket.socket, host: str, tls: Tls) -> socket.socket:
    import ssl  # noqa: PLC0415 - as few milliseconds as can be for those who have no TLS

    context = ssl.create_default_context(cafile=tls.ca)
    if not tls.verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if tls.certificate:
        context.load_cert_chain(tls.certificate, tls.key)
    return context.wrap_socket(sock, server_hostname=host)


def _dialled(endpoint: Endpoint) -> tuple[socket.socket, Callable[[], None]]:
    """As docker does it: its own program, on the other side of ssh, connects us with the daemon there.

    Gives what waits for ssh too, once the socket is closed.
    """
    import subprocess  # noqa: PLC0415 - as above

    ours, theirs = socket.socketpair()
    port = ["-p", str(endpoint.port)] if endpoint.port else []
    command = ["ssh", *port, "--", endpoint.host, "docker", "system", "dial-stdio"]
    with theirs:
        process = subprocess.Popen(command, stdin=theirs.fileno(), stdout=theirs.fileno())

    def hang_up() -> None:
        try:
            process.wait(SSH_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    return ours, hang_up


def _unreachable(endpoint: Endpoint, error: OSError) -> Unreachable:
    reason = error.strerror or str(error)
    hint = "is it running?"
    if isinstance(error, PermissionError):
        hint = "you may not open it: be in the socket's group (docker), or root"
    elif "CERTIFICATE_VERIFY_FAILED" in str(error):
        hint = "DOCKER_CERT_PATH names a folder with its ca.pem"
    return Unreachable(f"{endpoint.url}: {shown(reason)}; {hint}")


def _target(path: str, query: Mapping[str, str] | None) -> str:
    return quote(path, safe="/:@") + (f"?{urlencode(query)}" if query else "")


def _write_chunked(send: Write, write_archive: WriteArchive) -> None:
    """The archive in chunks (RFC 9112, 7.1); what is small is sent in one go with what comes before it."""
    waiting = bytearray()

    def write(data: Buffer) -> None:
        if len(waiting) + len(data) >= _SMALL:
            flush()
        if len(data) < _SMALL:
            waiting.extend(data)
            return
        send(b"%x\r\n" % len(data))
        send(data)
        send(b"\r\n")

    def flush() -> None:
        if waiting:
            send(b"%x\r\n%b\r\n" % (len(waiting), bytes(waiting)))
            waiting.clear()

    write_archive(write)
    flush()
    send(b"0\r\n\r\n")
