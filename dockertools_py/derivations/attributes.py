"""What a derivation of ours was given: the structured attributes that Nix writes for its builder.

Nix manual, "Advanced Attributes", `__structuredAttrs` and `exportReferencesGraph`. In the sandbox of Nix 2.8 the file
that NIX_ATTRS_JSON_FILE names does not exist (it is the path outside), but the same file lies in NIX_BUILD_TOP.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from dockertools_py.errors import DockertoolsError
from dockertools_py.model.entry import Owner
from dockertools_py.model.references_graph import ReferencesGraph


@dataclass(frozen=True, slots=True)
class Attributes:
    """The spec of what to build, the graphs that it asked for, where each output goes, and how many cores there are."""

    spec: Mapping[str, Any]
    graphs: Mapping[str, ReferencesGraph]
    outputs: Mapping[str, Path]
    build_top: Path
    cores: int

    @classmethod
    def read(cls, environment: Mapping[str, str], cores: int) -> Self:
        """Of the build that we are in; `cores` are the machine's, for NIX_BUILD_CORES=0."""
        top = Path(environment.get("NIX_BUILD_TOP", ""))
        named = Path(environment.get("NIX_ATTRS_JSON_FILE", ""))
        file = named if named.is_file() else top / ".attrs.json"
        if not file.is_file():
            raise DockertoolsError(
                "derivation: this verb runs inside a Nix build only; use `archive` or `stream` by hand"
            )
        value = json.loads(file.read_bytes())
        graphs = {name: ReferencesGraph.from_json(value[name]) for name in value.get("exportReferencesGraph", ())}
        outputs = {name: Path(path) for name, path in value["outputs"].items()}
        wanted = int(environment.get("NIX_BUILD_CORES", "1") or 1)
        return cls(value["spec"], graphs, outputs, top, wanted or cores)

    @property
    def out(self) -> Path:
        """Where the output goes, or the first of several."""
        return self.outputs["out"]

    def owner(self) -> Owner:
        """Owner and group of what is put in layers."""
        return Owner(*self.spec["owner"])

    def paths(self, key: str) -> tuple[Path, ...]:
        """A list of store paths in the spec."""
        return tuple(Path(path) for path in self.spec.get(key) or ())
