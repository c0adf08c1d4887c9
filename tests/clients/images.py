"""Images built by Nix from images.nix, once for all workers."""

import fcntl
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EXPRESSION = Path(__file__).with_name("images.nix")
# A build without sandbox could find what the closure lacks: no silent fall back. Nothing is fetched from a cache.
NIX_CONFIG = "sandbox = true\nsandbox-fallback = false\nsubstituters =\n"
BUILD_SECONDS = 900


@dataclass(frozen=True)
class BuiltImage:
    """An image by its name in images.nix: its archive, and what its value in Nix says of it.

    `value` has imageName, imageTag, imageRef and config; it is empty for a bundle, which is more than one image.
    """

    name: str
    archive: Path
    value: dict[str, Any]


class Images:
    """Builds and evaluates attributes of images.nix; the results are kept below `folder`, which workers share."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir(exist_ok=True)

    def get(self, name: str) -> BuiltImage:
        """Return an image. Raises RuntimeError with Nix's words when it does not build."""
        return BuiltImage(name, self.build(name), {} if name == "bundle" else self.value(name))

    def build(self, attribute: str) -> Path:
        """Build an attribute and return its store path."""
        argv = ["nix-build", "--no-out-link", str(EXPRESSION), "-A", attribute]
        return Path(self._once(f"{attribute}.path", argv).strip())

    def value(self, name: str) -> dict[str, Any]:
        """Evaluate what an image's value says of it, without building it."""
        facts = "inherit (image) imageName imageTag imageRef config;"
        expression = f"let image = (import {EXPRESSION}).{name}; in {{ {facts} }}"
        argv = ["nix-instantiate", "--eval", "--strict", "--json", "-E", expression]
        found: dict[str, Any] = json.loads(self._once(f"{name}.json", argv))
        return found

    def _once(self, key: str, argv: list[str]) -> str:
        # One at a time: Nix itself uses all cores.
        with _locked(self.folder / "lock"):
            known = self.folder / key
            if not known.exists():
                known.write_text(_nix(argv))
            return known.read_text()


def _nix(argv: list[str]) -> str:
    environment = {"NIX_CONFIG": NIX_CONFIG, **os.environ}
    result = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False)
    if result.returncode:
        raise RuntimeError(f"{' '.join(argv)}\n{result.stderr}")
    return result.stdout


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
