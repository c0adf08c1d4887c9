"""Runs the one verb that a derivation's spec names."""

import os
import sys
from importlib import import_module

from dockertools_py.derivations.attributes import Attributes


def run() -> int:
    """Build the output of the derivation that we are in."""
    sys.stderr.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    attributes = Attributes.read(os.environ, os.cpu_count() or 1)
    import_module(f"dockertools_py.derivations.{attributes.spec['verb']}").build(attributes)
    return 0
