"""What a layer's tar holds, known from its headers: store paths, what it hides of the layers below, and all the rest.

Which store paths an image has whole decides what an image on top need not add again. A path is whole when the layer that
brings it has an entry for the path itself, and no later layer deletes it, covers it, or brings entries below it that
are not the very same: a package that `RUN` has changed is not the package any more.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dockertools_py.model.entry import Entry, Kind
from dockertools_py.model.whiteout import hides
from dockertools_py.pack.layer import EVERYTHING

STORE = b"nix/store/"
_ALL_ABOVE = (b"", b"nix/", b"nix", b"nix/store", STORE)


@dataclass(frozen=True, slots=True)
class LayerContent:
    """The content of one layer."""

    store_paths: dict[str, int]
    """Paths that have an entry of their own, each with a fingerprint of it and of all entries below."""
    touched: frozenset[str]
    """Paths with entries below them, but none of their own."""
    hidden: frozenset[str]
    """Store paths of lower layers that are gone; EVERYTHING for all of them."""
    places: tuple[Entry, ...]
    """The entries outside the store, whiteouts included."""


def content_of(entries: Iterable[Entry]) -> LayerContent:
    """Look at all entries of a layer, in any order."""
    prints: dict[str, int] = {}
    own: set[str] = set()
    hidden: set[str] = set()
    places: list[Entry] = []
    for entry in entries:
        folder, slash, last = entry.name.rstrip(b"/").rpartition(b"/")
        gone = hides(folder + slash, last)
        if gone is not None and (gone in _ALL_ABOVE or gone.startswith(STORE)):
            hidden.add(EVERYTHING if gone in _ALL_ABOVE else store_path(gone))
        elif entry.name.rstrip(b"/") in (b"nix", b"nix/store") and entry.kind is not Kind.DIRECTORY:
            hidden.add(EVERYTHING)
        if is_place(entry):
            # Of a file in the store another name: by itself a file, of which only that one knows the size.
            into_store = entry.kind is Kind.HARDLINK and entry.link.startswith(STORE)
            places.append(entry._replace(kind=Kind.FILE) if into_store else entry)
        elif gone is None:
            path = store_path(entry.name)
            prints[path] = prints.get(path, 0) ^ _fingerprint(entry)
            if folder + slash == STORE:
                own.add(path)
    whole = {path: fingerprint for path, fingerprint in prints.items() if path in own}
    return LayerContent(whole, frozenset(prints.keys() - own), frozenset(hidden), tuple(places))


def hidden_paths(content: LayerContent) -> tuple[str, ...]:
    """The store paths of layers below that are not whole any more with this layer on top."""
    return tuple(sorted(content.hidden | content.touched))


def whole_paths(contents: Sequence[LayerContent]) -> list[tuple[str, ...]]:
    """For each layer of a stack, lowest first, the store paths that it brings and that stay whole to the top."""
    holders: dict[str, tuple[int, int]] = {}
    changed: set[str] = set()
    for number, content in enumerate(contents):
        if EVERYTHING in content.hidden:
            holders.clear()
        for path in content.hidden | content.touched:
            holders.pop(path, None)
        changed |= content.touched
        for path, fingerprint in content.store_paths.items():
            if path in holders and holders[path][1] != fingerprint:
                del holders[path]
                changed.add(path)
            elif path not in changed:
                holders.setdefault(path, (number, fingerprint))
    return [tuple(sorted(p for p, (holder, _) in holders.items() if holder == n)) for n in range(len(contents))]


def is_place(entry: Entry) -> bool:
    """Whether an entry is outside the store; the store's own folder is, what is in it is not."""
    return not entry.name.startswith(STORE) or len(entry.name) == len(STORE)


def store_path(name: bytes) -> str:
    """The store path that a member's name lies in."""
    return "/nix/store/" + name[len(STORE) :].partition(b"/")[0].decode("utf-8", "backslashreplace")


def _fingerprint(entry: Entry) -> int:
    """Of what an entry says but for owner and time; xor of them does not depend on the order of entries."""
    said = b"%s\0%s\0%d\0%s" % (entry.name.rstrip(b"/"), entry.kind.value, entry.size, entry.link)
    return int.from_bytes(hashlib.blake2b(said, digest_size=16).digest(), "big")
