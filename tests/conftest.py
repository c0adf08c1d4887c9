"""What all tests share: the checkout, Nix's settings, and how Nix is asked."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent

# ./dev sets it; whoever runs pytest alone gets the same settings: a sandbox that is really one, and no network.
os.environ.setdefault(
    "NIX_CONFIG", "sandbox = true\nsandbox-fallback = false\nsubstituters =\nbuild-users-group = nixbld\n"
)
# Root running a Python of the store would write byte code into the store.
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"


class Nix:
    """Nix on this checkout."""

    checkout = CHECKOUT

    def run(self, *command: str, check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a program; on failure its standard error is in the exception's text."""
        done = subprocess.run(command, capture_output=True, text=True, cwd=CHECKOUT, check=False, **options)
        assert not check or done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stderr[-4000:]}"
        return done

    def build(self, expression: str, *options: str) -> Path:
        """The output of an expression, in which `ours` is `import ./. { }`, `pkgs` and `dockerTools` are from it."""
        return self.build_all(expression, *options)[-1]

    def build_all(self, expression: str, *options: str) -> list[Path]:
        """The outputs of all derivations in an expression's value."""
        done = self.run("nix-build", "--no-out-link", *options, "-E", wrapped(expression))
        return [Path(line) for line in done.stdout.split()]

    def eval(self, expression: str) -> Any:
        """The JSON value of an expression, as in `build`."""
        return json.loads(self.run("nix-instantiate", "--eval", "--strict", "--json", "-E", wrapped(expression)).stdout)

    def failure(self, expression: str, *, build: bool = False) -> str:
        """The standard error of an expression that must fail, in evaluation or when it is built."""
        command = ["nix-build", "--no-out-link"] if build else ["nix-instantiate", "--eval", "--strict", "--json"]
        done = self.run(*command, "-E", wrapped(expression), check=False)
        assert done.returncode != 0, f"no error from {expression}"
        return done.stderr

    def instantiate(self, expression: str) -> set[str]:
        """All derivations that an expression's value needs, itself included."""
        derivation = self.run("nix-instantiate", "-E", wrapped(expression)).stdout.strip().split("!")[0]
        return set(self.run("nix-store", "--query", "--requisites", derivation).stdout.split())


def wrapped(expression: str) -> str:
    """`expression` with `ours`, `pkgs`, `dockerTools` and the packages in scope."""
    return f"let ours = import {CHECKOUT} {{ }}; inherit (ours) pkgs dockerTools; in with pkgs; with dockerTools; {expression}"


@pytest.fixture(scope="session")
def nix() -> Nix:
    return Nix()
