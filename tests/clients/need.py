"""What a test needs from the machine: absent, it fails the test where all must run (CI), and else skips it by name."""

import os
import shutil
from typing import NoReturn

import pytest

from tests.clients.engines.engine import SYSTEM_PATH


def need(*programs: str, path: str = SYSTEM_PATH) -> None:
    """Let the test go on only when all `programs` are on `path`."""
    missing = [program for program in programs if not shutil.which(program, path=path)]
    if missing:
        lack(f"missing: {', '.join(missing)}" + ("" if path == SYSTEM_PATH else f" (looked for on {path})"))


def need_root() -> None:
    """Let the test go on only as root: an engine mounts file systems."""
    if os.geteuid() != 0:
        lack("container engines start as root only")


def lack(reason: str) -> NoReturn:
    """End the test for want of something."""
    if os.environ.get("CI"):
        pytest.fail(f"{reason} (no test is skipped in CI)", pytrace=False)
    pytest.skip(reason)
