"""Binary caches by http, and what Nix says of taking something from them."""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.nix.building import names


def said(done: subprocess.CompletedProcess[str], what: str) -> list[str]:
    """The names of what Nix says that it builds or copies."""
    start = {"built": "building '", "copied": "copying path '"}[what]
    found = [line.removeprefix(start).partition("'")[0] for line in done.stderr.splitlines() if line.startswith(start)]
    return names(set(found))


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """The folder by http, and the paths that were asked for."""
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            asked.append(self.path)

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()
