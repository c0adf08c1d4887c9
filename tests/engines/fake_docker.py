"""A daemon that answers as each version of Docker, and Podman, was seen to answer.

It keeps no files: of what it is sent it remembers blobs, unpacked stacks and names, which is all that loading is about.
It shares no code with what it tests.
"""

import hashlib
import io
import json
import socketserver
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass(frozen=True)
class Kind:
    """`by` is how layers are known: `chain`, `blob` (containerd's store) or `layer` (Podman)."""

    server: str
    api: str
    by: str


KINDS = {
    "docker-20": Kind("Docker/20.10.24 (linux)", "1.41", "chain"),
    "docker-26": Kind("Docker/26.1.5 (linux)", "1.45", "chain"),
    "docker-26-containerd": Kind("Docker/26.1.5 (linux)", "1.45", "blob"),
    "docker-28": Kind("Docker/28.5.2 (linux)", "1.51", "chain"),
    "docker-28-containerd": Kind("Docker/28.5.2 (linux)", "1.51", "blob"),
    "podman-4": Kind("Libpod/4.3.1 (linux)", "1.41", "layer"),
}


@dataclass
class Held:
    """An image that the daemon has, by its id."""

    manifest: str
    blobs: list[str]
    """Of its layers, as they came."""
    diff_ids: list[str]


@dataclass
class Upload:
    """What one load sent: its bytes, and the names of the blobs in it."""

    size: int
    blobs: list[str]


class Hangup(Exception):
    """Has the daemon drop the connection."""


@dataclass
class State:
    """All that the daemon knows, and what a test has it do besides."""

    kind: Kind
    images: dict[str, Held] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    """Full name to id."""
    blobs: set[str] = field(default_factory=set)
    chains: set[str] = field(default_factory=set)
    requests: list[str] = field(default_factory=list)
    uploads: list[Upload] = field(default_factory=list)
    before_load: Callable[["State"], None] = lambda state: None
    instead: dict[str, Callable[[], tuple[int, bytes]]] = field(default_factory=dict)
    """Answers in the place of its own, by `METHOD /path` up to the query."""
    stop_reading_after: int | None = None
    patience: float | None = None
    """Seconds of silence after which it ends a connection."""
    machine: str = "x86_64"
    """What its kernel calls the machine."""

    def remove(self, name: str) -> None:
        """As rmi does with a name and what only that keeps; blobs that nothing names any more go too."""
        image_id = self.names.pop(name)
        if image_id not in self.names.values():
            del self.images[image_id]
        self.blobs = {blob for image in self.images.values() for blob in image.blobs}
        self.chains = {chain for image in self.images.values() for chain in chains(image.diff_ids)}

    def is_whole(self, image_id: str) -> bool:
        """Whether it could be run, saved and pushed."""
        image = self.images[image_id]
        if self.kind.by == "chain":
            return set(chains(image.diff_ids)) <= self.chains
        return set(image.blobs) <= self.blobs

    def load(self, members: dict[str, bytes]) -> tuple[int, list[dict[str, Any]]]:
        """Take an archive; status and messages."""
        [listed] = json.loads(members["index.json"])["manifests"]
        name = listed["annotations"]["io.containerd.image.name"]
        manifest = json.loads(members[member(listed["digest"])])
        config_digest = manifest["config"]["digest"]
        diff_ids = json.loads(members[member(config_digest)])["rootfs"]["diff_ids"]
        blobs = [layer["digest"] for layer in manifest["layers"]]
        came = {blob for blob in blobs if member(blob) in members}
        image = Held(listed["digest"], blobs, diff_ids)
        missing = self._missing(image, came)
        if self.kind.by == "blob":
            self.blobs |= came
            self.images[listed["digest"]] = image
            self.names[name] = listed["digest"]  # also where it then fails to unpack it
            if missing and self.kind.api >= "1.48":
                return 200, [{"status": f"Error unpacking image {name}: NotFound: {missing[0]}: not found"}]
            if missing:
                return 200, [{"error": f"failed to unpack loaded image: content digest {missing[0]}: not found"}]
        elif missing and self.kind.by == "layer":
            return 500, [{"message": f"failed to load image: payload does not match: open {missing[0]}"}]
        elif missing:
            return 200, [{"error": f"open /docker-import-1/{member(missing[0])}: no such file or directory"}]
        else:
            self.blobs |= came
            self.images[config_digest] = image
            self.names[name] = config_digest
        self.chains |= set(chains(diff_ids))
        return 200, [{"stream": f"Loaded image: {name}\n"}]

    def _missing(self, image: Held, came: set[str]) -> list[str]:
        """Blobs that it would have to read and cannot."""
        if self.kind.by == "layer":
            return [blob for blob in image.blobs if blob not in came | self.blobs]
        there = came | self.blobs if self.kind.by == "blob" else came
        pairs = zip(image.blobs, chains(image.diff_ids), strict=True)
        return [blob for blob, chain in pairs if chain not in self.chains and blob not in there]


def member(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")


def chains(diff_ids: list[str]) -> list[str]:
    found: list[str] = []
    for diff_id in diff_ids:
        found.append(f"sha256:{hashlib.sha256(f'{found[-1]} {diff_id}'.encode()).hexdigest()}" if found else diff_id)
    return found


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"

    def setup(self) -> None:
        self.timeout = self.server.state.patience
        super().setup()

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def _serve(self, method: str) -> None:
        state = self.server.state
        url = urlsplit(self.path)
        path, query = unquote(url.path), {key: values[0] for key, values in parse_qs(url.query).items()}
        state.requests.append(f"{method} {path}")
        try:
            body = self._body() if path == "/images/load" else b""
            override = state.instead.get(f"{method} {path}")
            status, value = override() if override else self._answer(method, path, query, body)
        except Hangup:
            self.close_connection = True
            self.connection.close()
            return
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response_only(status)
        self.send_header("Server", state.kind.server)
        self.send_header("Api-Version", state.kind.api)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _answer(self, method: str, path: str, query: dict[str, str], body: bytes) -> tuple[int, Any]:
        state = self.server.state
        if path == "/info":
            driver = [["driver-type", "io.containerd.snapshotter.v1"]] if state.kind.by == "blob" else [["x", "true"]]
            return 200, {"DriverStatus": driver, "Architecture": state.machine}
        if path == "/images/json":
            return 200, self._listed(query)
        if path == "/images/load":
            state.before_load(state)
            with tarfile.open(fileobj=io.BytesIO(body)) as tar:
                members = {info.name: tar.extractfile(info).read() for info in tar}  # type: ignore[union-attr]
            blobs = [f"sha256:{name[13:]}" for name in members if name.startswith("blobs/")]
            state.uploads.append(Upload(len(body), blobs))
            status, messages = state.load(members)
            return status, b"".join(json.dumps(message).encode() + b"\r\n" for message in messages)
        name = path.removeprefix("/images/").rpartition("/")[0]
        image_id = name if name in state.images else state.names.get(name)
        if image_id is None:
            return 404, {"message": f"No such image: {name}"}
        if method == "POST":
            state.names[f"{query['repo']}:{query['tag']}"] = image_id
            return 201, b""
        return 200, self._described(image_id, query)

    def _described(self, image_id: str, query: dict[str, str]) -> dict[str, Any]:
        state = self.server.state
        names = [self._shown(name) for name, other in state.names.items() if other == image_id]
        value: dict[str, Any] = {"Id": image_id, "RepoTags": names}
        value["RootFS"] = {"Layers": state.images[image_id].diff_ids}
        if "manifests" in query and state.kind.by == "blob" and state.kind.api >= "1.48":
            value["Manifests"] = [{"ID": state.images[image_id].manifest, "Available": state.is_whole(image_id)}]
        return value

    def _listed(self, query: dict[str, str]) -> list[dict[str, Any]]:
        state = self.server.state
        wanted = json.loads(query.get("filters", "{}")).get("reference")
        found = []
        for image_id in state.images:
            names = [self._shown(name) for name, other in state.names.items() if other == image_id]
            if wanted and not set(wanted) & set(names):
                continue
            if state.kind.by == "blob" and state.kind.api < "1.48" and not state.is_whole(image_id):
                continue
            found.append({"Id": image_id, "RepoTags": names})
        return found

    def _shown(self, name: str) -> str:
        is_docker = self.server.state.kind.by != "layer"
        return name.removeprefix("docker.io/").removeprefix("library/") if is_docker else name

    def _body(self) -> bytes:
        assert self.headers["Transfer-Encoding"] == "chunked"
        limit, data = self.server.state.stop_reading_after, bytearray()
        while size := int(self.rfile.readline(), 16):
            data += self.rfile.read(size)
            if limit is not None and len(data) > limit:
                raise Hangup
            assert self.rfile.read(2) == b"\r\n"
        self.rfile.readline()
        return bytes(data)


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    state: State

    def get_request(self) -> tuple[Any, Any]:
        request, _ = super().get_request()
        return request, ("local", 0)

    def handle_error(self, *_: object) -> None:
        pass


@contextmanager
def fake_docker(folder: Path, kind: str) -> Iterator[tuple[State, str]]:
    """A daemon at `folder`/docker.sock; its state and the URL."""
    socket = folder / "docker.sock"
    with _Server(str(socket), _Handler) as server:
        server.state = State(KINDS[kind])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.state, f"unix://{socket}"
        finally:
            server.shutdown()
            thread.join()
            socket.unlink()
