"""The references graph of a closure, as `exportReferencesGraph` gives it (Nix manual, "Advanced Attributes")."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from typing import Any, Self

from dockertools_py.errors import DockertoolsError, shown

_HASH_LENGTH = 32
_STORE_PATH = re.compile(rf"/nix/store/[0-9a-z]{{{_HASH_LENGTH}}}-[0-9a-zA-Z+._?=-]{{1,211}}")


@dataclass(frozen=True, slots=True)
class StorePath:
    """A path of the Nix store: its size as a NAR in bytes, and what it refers to, itself left out."""

    path: str
    nar_size: int
    references: tuple[str, ...]
    refers_to_itself: bool = False
    nar_hash: str = ""
    """As Nix writes it here, see model.nar_hash."""
    ca: str = ""
    """Of a path that follows from its content, how it does."""


@dataclass(frozen=True, slots=True)
class ReferencesGraph:
    """Store paths by path; closed: whatever one refers to is there too."""

    paths: Mapping[str, StorePath]

    @classmethod
    def from_json(cls, value: Iterable[Any]) -> Self:
        """From the list in `.attrs.json`: objects with path, narSize and references. Raises DockertoolsError."""
        paths = {}
        for item in value:
            path, references = item["path"], sorted(item["references"])
            others = tuple(reference for reference in references if reference != path)
            # Texts, as all versions of Nix so far write them; whoever needs one looks closer.
            notes = (text if isinstance(text := item.get(key), str) else "" for key in ("narHash", "ca"))
            paths[path] = StorePath(path, int(item["narSize"]), others, path in references, *notes)
        for node in paths.values():
            for reference in node.references:
                if reference not in paths:
                    raise DockertoolsError(f"{node.path} refers to {reference}, which is not in its closure")
        return cls(paths)

    def levels(self) -> dict[str, int]:
        """For each path the length of its longest chain of references: 0 for one that refers to nothing."""
        sorter = TopologicalSorter({path: node.references for path, node in self.paths.items()})
        try:
            sorter.prepare()
        except CycleError as error:
            raise DockertoolsError(f"references in a circle: {shown(error.args[1])}") from error
        levels, level = {}, 0
        while sorter.is_active():
            ready = sorter.get_ready()
            levels.update(dict.fromkeys(ready, level))
            sorter.done(*ready)
            level += 1
        return levels

    def union(self, other: "ReferencesGraph") -> "ReferencesGraph":
        """The paths of both."""
        return ReferencesGraph({**other.paths, **self.paths})

    def unreferenced(self, paths: Iterable[str]) -> frozenset[str]:
        """Those of `paths` that nothing here refers to, not even they themselves."""
        used = {reference for node in self.paths.values() for reference in node.references}
        used.update(path for path, node in self.paths.items() if node.refers_to_itself)
        return frozenset(paths) - used

    def without(self, others: Iterable[str]) -> "ReferencesGraph":
        """The paths that are not in `others`, and the references between them."""
        dropped = set(others)
        kept = {path: node for path, node in self.paths.items() if path not in dropped}
        return ReferencesGraph(
            {
                path: replace(node, references=tuple(r for r in node.references if r in kept))
                for path, node in kept.items()
            }
        )

    def only(self, wanted: Iterable[str]) -> "ReferencesGraph":
        """The paths of `wanted`, all of which are here, and the references between them."""
        return self.without(self.paths.keys() - set(wanted))


def is_store_path(text: str) -> bool:
    """Whether a text is a store path, and not a file in one."""
    return _STORE_PATH.fullmatch(text) is not None


def name_of(path: str) -> str:
    """The name of a store path without folder and hash: `bash-5.2` of `/nix/store/<hash>-bash-5.2`."""
    return path.rpartition("/")[2][_HASH_LENGTH + 1 :]


def store_path_of(path: str) -> str:
    """The store path that `path` lies in: `/nix/store/<hash>-bash` of `/nix/store/<hash>-bash/bin`."""
    return "/".join(path.split("/")[:4])
