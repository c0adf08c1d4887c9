"""Asking Nix for many things at once, and for things in stores of their own."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tests.conftest import Nix, wrapped

NIX_COMMAND = ("nix", "--extra-experimental-features", "nix-command flakes")

Build = Callable[..., "Outputs"]


class Outputs(Mapping[str, Path]):
    """What several expressions came to. One that failed to build fails the test that asks for it, with its log."""

    def __init__(self, paths: Mapping[str, tuple[str, str]]) -> None:
        self._paths = paths

    def __getitem__(self, name: str) -> Path:
        derivation, out = self._paths[name]
        if not Path(out).exists():
            log = subprocess.run(["nix-store", "--read-log", derivation], capture_output=True, text=True, check=False)
            raise AssertionError(f"{name} was not built: {derivation}\n{log.stdout or log.stderr}")
        return Path(out)

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)

    def derivation(self, name: str) -> str:
        return self._paths[name][0]


def evaluate(nix: Nix, expressions: Mapping[str, str], prelude: str = "") -> dict[str, tuple[str, str]]:
    """(derivation, output) of each expression; `prelude` is what all of them see. The derivations are in the store."""
    pairs = " ".join(
        f'"{name}" = let drv = ({expression}); in [ drv.drvPath drv.outPath ];'
        for name, expression in expressions.items()
    )
    body = f"let {prelude} in {{ {pairs} }}"
    command = ["nix-instantiate", "--eval", "--strict", "--json", "--read-write-mode", "-E", wrapped(body)]
    return {name: (pair[0], pair[1]) for name, pair in json.loads(nix.run(*command).stdout).items()}


def copy_to(store: Path, *paths: str) -> None:
    """The closure of `paths` into another store."""
    done = subprocess.run(
        [*NIX_COMMAND, "copy", "--no-check-sigs", "--to", str(store), *paths],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"HOME": str(store.parent)},
    )
    assert done.returncode == 0, done.stderr


def names(derivations: set[str]) -> list[str]:
    """Names of derivations without hash and suffix, sorted."""
    return sorted(Path(path).name[33:].removesuffix(".drv") for path in derivations)
