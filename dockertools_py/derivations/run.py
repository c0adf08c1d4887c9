"""Runs the one verb that a derivation's spec names."""

import os
import sys
from importlib import import_module
from pathlib import Path

from dockertools_py.derivations.attributes import Attributes


def run() -> int:
    """Build the output of the derivation that we are in."""
    sys.stderr.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    attributes = Attributes.read(os.environ, os.cpu_count() or 1)
    try:
        import_module(f"dockertools_py.derivations.{attributes.spec['verb']}").build(attributes)
    except BaseException:
        for out in attributes.outputs.values():
            _remove(out)
        raise
    return 0


def _remove(out: Path) -> None:
    """Nix moves what a failed build leaves out of the sandbox into the store, where it is not valid but in the way."""
    if out.is_dir():
        import shutil  # noqa: PLC0415  (needed only here)

        shutil.rmtree(out, ignore_errors=True)
    else:
        out.unlink(missing_ok=True)
