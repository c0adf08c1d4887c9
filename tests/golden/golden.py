"""Digests that must not change without somebody saying so: each kept in a file here, and compared."""

import json
import os
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
ACCEPT = "DOCKERTOOLS_ACCEPT"


def compare(name: str, found: dict[str, Any], folder: Path = FOLDER) -> None:
    """`found` with what is noted in NAME.json; with DOCKERTOOLS_ACCEPT=1 it is noted instead."""
    file = folder / f"{name}.json"
    if os.environ.get(ACCEPT) == "1":
        file.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n")
        return
    noted = json.loads(file.read_text()) if file.exists() else {}
    changed = sorted(key for key in {*noted, *found} if noted.get(key) != found.get(key))
    told = "\n".join(f"  {key}: {noted.get(key)} was noted, it is {found.get(key)}" for key in changed)
    assert not changed, (
        f"tests/golden/{file.name}: other bytes than before:\n{told}\n"
        "A changed digest is a change of the interface: caches, registries and engines hold the old ones. If it must be, "
        f"say why in CHANGELOG.md under `Changed digests`, and run this test with {ACCEPT}=1 to note the new ones."
    )
