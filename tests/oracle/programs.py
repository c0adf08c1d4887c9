"""Programs that tests compare with: absent, they skip the test by name, and fail it in CI, where all must be there."""

import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import NoReturn

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]


def need(program: str) -> str:
    """The path of a program."""
    found = shutil.which(program)
    if not found:
        lack(f"missing: {program}")
    return found


def lack(reason: str) -> NoReturn:
    """End the test for want of something."""
    if os.environ.get("CI"):
        pytest.fail(f"{reason} (no test is skipped in CI)", pytrace=False)
    pytest.skip(reason)


@cache
def pythons() -> dict[str, str]:
    """The Pythons from 3.11 on that are on this machine: `3.12` to its program; ours is one of them."""
    folders = [*os.environ.get("PATH", "").split(":"), "/usr/bin", "/usr/local/bin"]
    for root in (os.environ.get("PYENV_ROOT"), str(Path.home() / ".pyenv")):
        if root:
            folders += [str(path) for path in sorted(Path(root).glob("versions/*/bin"))]
    folders.append(str(CHECKOUT / ".cache/pythons/bin"))  # ./dev puts one there
    found = {"{}.{}".format(*sys.version_info[:2]): sys.executable}
    for folder in folders:
        for path in sorted(Path(folder or ".").glob("python3.*")):
            match = re.fullmatch(r"python(3\.(\d+))", path.name)
            if match and int(match[2]) >= 11 and match[1] not in found and _runs(path, match[1]):
                found[match[1]] = str(path)
    return found


def _runs(path: Path, version: str) -> bool:
    """Whether it is really that version: a shim of pyenv may name one that is not active."""
    try:
        done = subprocess.run([path, "-I", "-S", "--version"], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return done.returncode == 0 and done.stdout.startswith(f"Python {version}.")


def dockertools(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    """Run the program as a user does; never with a shell, and with text that need not be UTF-8."""
    command = [sys.executable, "-m", "dockertools_py", *map(os.fspath, arguments)]  # type: ignore[call-overload]
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run(
        command,
        **{
            "capture_output": True,
            "cwd": CHECKOUT,
            "env": buffered,
            "encoding": "utf-8",
            "errors": "surrogateescape",
            **options,
        },  # type: ignore[call-overload]
        check=False,
    )
