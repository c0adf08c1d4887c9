"""Users, groups and permissions of a spec, applied to the layer at `/`: a module of its own, since few images have any."""

from collections.abc import Iterable
from pathlib import Path

from dockertools_py.derivations.attributes import Attributes
from dockertools_py.model.entry import Entry
from dockertools_py.pack.owners import Owners, with_owners
from dockertools_py.store.below import Below


def owned(attributes: Attributes, placed: Iterable[Entry], folders: Iterable[Path]) -> tuple[Entry, ...]:
    """`placed`, on what `folders` describe, with `owners` of the spec. Spec: `owners`, `owner`, `mtime`, `zstd`."""
    spec = attributes.spec
    below = Below(folders, attributes.build_top / "below", spec["zstd"])
    owners = Owners.from_json(spec["owners"])
    return with_owners(placed, below.tree, owners, below, owner=attributes.owner(), mtime=spec["mtime"])
