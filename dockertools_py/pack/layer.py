"""A layer: its diff_id, its size, and where its bytes come from.

A layer of store paths is never written down: its source says how to make its bytes again. Only what the store cannot
say (a script's result, a foreign tar) is a blob in a file. Sources are values; `store.produce` makes bytes of them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model.digest import Digest
from dockertools_py.model.entry import ROOT, Owner
from dockertools_py.model.media_type import OCI_LAYER
from dockertools_py.model.references_graph import name_of

STORE_MTIME = 1
"""Nix sets it on every store path; 0 makes some programs think that a file is missing."""


@dataclass(frozen=True, slots=True)
class PathsSource:
    """Whole store paths, below their own names."""

    paths: tuple[str, ...]
    owner: Owner = ROOT
    mtime: int = STORE_MTIME

    def to_json(self) -> dict[str, Any]:
        """As in a description."""
        return {"kind": "paths", "paths": list(self.paths), "owner": list(self.owner), "mtime": self.mtime}


@dataclass(frozen=True, slots=True)
class RootSource:
    """The files of store paths at `/`: links to those of `links`, copies of those of `copies`."""

    links: tuple[str, ...]
    copies: tuple[str, ...] = ()
    owner: Owner = ROOT
    mtime: int = STORE_MTIME
    open_links: bool = False
    """Whether a link to a directory becomes a directory of what is in it."""

    def to_json(self) -> dict[str, Any]:
        """As in a description."""
        owner, mtime = list(self.owner), self.mtime
        value = {"kind": "root", "links": list(self.links), "copies": list(self.copies), "owner": owner, "mtime": mtime}
        return value | {"openLinks": True} if self.open_links else value


@dataclass(frozen=True, slots=True)
class BlobSource:
    """Bytes that are stored: `size` bytes from `offset` in `file`, of the compression that `media_type` says."""

    file: str
    offset: int
    size: int
    digest: Digest
    media_type: str = OCI_LAYER

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """From a description."""
        digest = Digest.parse(value["digest"])
        return cls(value["file"], value["offset"], value["size"], digest, value["mediaType"])

    def to_json(self) -> dict[str, Any]:
        """As in a description."""
        place = {"file": self.file, "offset": self.offset, "size": self.size}
        return {"kind": "blob", **place, "digest": str(self.digest), "mediaType": self.media_type}


Source = PathsSource | RootSource | BlobSource


def source_from_json(value: Mapping[str, Any]) -> Source:
    """From a description. Raises DockertoolsError for a kind that this version does not know."""
    match value.get("kind"):
        case "paths":
            return PathsSource(tuple(value["paths"]), Owner(*value["owner"]), value["mtime"])
        case "root":
            links, copies = tuple(value["links"]), tuple(value["copies"])
            return RootSource(links, copies, Owner(*value["owner"]), value["mtime"], value.get("openLinks", False))
        case "blob":
            return BlobSource.from_json(value)
    raise DockertoolsError(
        f"a layer's source is of kind {shown(value.get('kind'))}: from another version of this tool?"
    )


@dataclass(frozen=True, slots=True)
class Layer:
    """`size` bytes of uncompressed tar whose digest is `diff_id`; `store_paths` are in it whole."""

    diff_id: Digest
    size: int
    source: Source
    store_paths: tuple[str, ...]
    created_by: str
    """For the image's history."""
    hidden: tuple[str, ...] = ()
    """Store paths of the layers below that are not whole any more; EVERYTHING for all of them."""

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """From a description."""
        source = source_from_json(value["source"])
        paths = source.paths if isinstance(source, PathsSource) else tuple(value["storePaths"])
        hidden = tuple(value.get("hidden", ()))
        return cls(Digest.parse(value["diffId"]), value["size"], source, paths, value["createdBy"], hidden)

    def to_json(self) -> dict[str, Any]:
        """As in a description."""
        value = {
            "diffId": str(self.diff_id),
            "size": self.size,
            "source": self.source.to_json(),
            "createdBy": self.created_by,
        }
        if not isinstance(self.source, PathsSource):
            value["storePaths"] = list(self.store_paths)
        return value | {"hidden": list(self.hidden)} if self.hidden else value

    def named(self, created_by: str) -> "Layer":
        """The same layer with another line in the history."""
        return replace(self, created_by=created_by)

    def label(self) -> str:
        """How errors and tables name this layer."""
        return f"layer {self.diff_id.hex[:12]} ({self.created_by})"


EVERYTHING = "*"


def shown_paths(layers: Iterable[Layer], below: Iterable[str] = ()) -> set[str]:
    """The store paths that are whole at the top of `layers`, lowest first, which lie on top of the paths `below`."""
    shown = set(below)
    for layer in layers:
        shown = set() if EVERYTHING in layer.hidden else shown.difference(layer.hidden)
        shown.update(layer.store_paths)
    return shown


def files_of(source: Source) -> tuple[str, ...]:
    """What is read to make a layer's bytes: store paths or files in them, or any other file."""
    match source:
        case PathsSource(paths):
            return paths
        case RootSource(links, copies):
            return (*links, *copies)
        case BlobSource(file):
            return (file,)


NAMES_IN_HISTORY = 3
"""A merged layer of hundreds of paths would fill the screen of `docker history`; `inspect` lists them all."""


def created_by(source: Source) -> str:
    """What a layer holds, in a few words, without hashes."""
    match source:
        case PathsSource(paths):
            names = sorted(map(name_of, paths))
            more = len(names) - NAMES_IN_HISTORY
            return "store: " + ", ".join(names[:NAMES_IN_HISTORY]) + (f" and {more} more" if more > 0 else "")
        case RootSource(links, copies):
            return "root: " + ", ".join(map(name_of, (*links, *copies)))
        case BlobSource(file):
            return "tar: " + file.rpartition("/")[2]
