"""What images show outside the store, once they are one image: nothing that another changes, and the accounts of all.

Where they do not get in each other's way there is nothing to make: the layer that this describes is empty. Users and groups are
the exception, since each image has them in the same few files: these are merged, and lie on top.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path

from dockertools_py.derivations.attributes import Attributes
from dockertools_py.derivations.stacks import Stack
from dockertools_py.derivations.stored_layer import write_layer
from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model.digest import Digest
from dockertools_py.model.entry import Entry
from dockertools_py.pack import subordinate_ids
from dockertools_py.pack.accounts import MODES
from dockertools_py.pack.draft import Draft
from dockertools_py.pack.layer import STORE_MTIME
from dockertools_py.pack.overriding import overridden
from dockertools_py.pack.owners import put_file
from dockertools_py.pack.united_accounts import ImageAccounts, United, unite
from dockertools_py.store.below import Below
from dockertools_py.store.description import write_layers, write_places
from dockertools_py.store.tar_stream import tar_stream

FILES = (*MODES, *subordinate_ids.FILES)
ACCOUNTS = frozenset(name.encode() for name in FILES)
BACKUPS = frozenset(name + b"-" for name in ACCOUNTS)
"""What useradd leaves of the files before it changed them: nobody reads them."""


def build(attributes: Attributes) -> None:
    """Spec: `places`, for each image the descriptions of what it has outside the store, lowest first; `names` of the images.

    `allowOverride`: whether one may change what another shows; `zstd`.
    """
    spec = attributes.spec
    places = [[Path(folder) for folder in folders] for folders in spec["places"]]
    merged, stacks = Stack(spec["zstd"]), [Stack(spec["zstd"]) for _ in places]
    for number, folders in enumerate(places):
        stacks[number].add(folders, number)
        merged.add(folders, number, again=spec["allowOverride"], shared=_common(stacks, number))
    differing = {} if spec["allowOverride"] else _check_overriding(stacks, merged, spec["names"])
    entries: tuple[Entry, ...] = ()
    united: United | None = None
    if spec["allowOverride"] or differing.keys() & ACCOUNTS:
        # First whether accounts fit together: that says more than a home which has two owners.
        united = _united(attributes, places, stacks)
        merged_files = {os.fsencode(name) for name in united.files}
        # Also of accounts, where modes differ and the text does not.
        differing = {path: error for path, error in differing.items() if path not in merged_files}
    for error in differing.values():
        raise error
    if united:
        for note in united.notes:
            print(f"mergeImages: {note}", file=sys.stderr)
        entries = _layer(united, stacks, merged, last_wins=spec["allowOverride"])
    attributes.out.mkdir()
    by = "users and groups of the merged images"
    layers = [write_layer(attributes.out / "layer.tar", tar_stream(entries), (), by)] if entries else []
    write_layers(attributes.out, layers)
    write_places(attributes.out, [entries] if entries else [])


def _check_overriding(stacks: Sequence[Stack], merged: Stack, names: Sequence[str]) -> dict[bytes, DockertoolsError]:
    """What one image would change of another: of accounts, which may be merged, all, of other paths the first.

    What one image changes of a base that it shares with another is no conflict: the other only inherits it.
    """
    found: dict[bytes, DockertoolsError] = {}
    for number, own in enumerate(stacks):

        def same(path: bytes, own: Stack = own) -> bool:
            return own.shown(path) == merged.shown(path)

        for path, node, other in overridden(own.tree, merged.tree, same):
            inheriting = [stack for stack in stacks if stack is not own and stack.has_layer(own.layer_of(node))]
            if other is not None and stacks[merged.image_of(other)] in inheriting:
                continue
            if other is None and any(stack.tree.get(path) is None for stack in inheriting):
                continue
            if path in BACKUPS:
                continue
            by = names[merged.image_of(other)] if other is not None else "another one"
            what = f"{by} shows something else there" if other is not None else f"{by} deletes it"
            error = DockertoolsError(
                f"mergeImages: /{shown(path)} of {names[number]} would change: {what}; "
                "give `allowOverride = true` if the last image shall win, or take one of them out"
            )
            found.setdefault(path, error)
            if path not in ACCOUNTS or other is None or node.is_directory() or other.is_directory():
                return found
    return found


def _united(attributes: Attributes, places: Sequence[Sequence[Path]], stacks: Sequence[Stack]) -> United:
    """The accounts of all images."""
    spec = attributes.spec
    images = []
    for number, folders in enumerate(places):
        common = _common(stacks, number)
        scratch = attributes.build_top / "accounts" / str(number)
        files = _texts(Below(folders, scratch / "own", spec["zstd"]))
        only = frozenset(common)
        inherited = _texts(Below(folders, scratch / "shared", spec["zstd"], only)) if files and common else {}
        images.append(ImageAccounts(spec["names"][number], files, inherited))
    return unite(images, last_wins=spec["allowOverride"])


def _layer(united: United, stacks: Sequence[Stack], merged: Stack, *, last_wins: bool) -> tuple[Entry, ...]:
    """The files, each with mode and owner that it has in the first image, or in the last."""
    draft = Draft((), merged.tree, Below((), Path(), None), STORE_MTIME)
    for name, data in united.files.items():
        trees = [stack.tree for stack in stacks if stack.tree.get(stack.tree.resolve(name.encode())) is not None]
        trees = trees or [merged.tree]
        put_file(draft, name, data, trees[-1 if last_wins else 0])
    return draft.entries()


def _texts(below: Below) -> dict[str, bytes]:
    draft = Draft((), below.tree, below, STORE_MTIME)
    texts = ((name, draft.text(name.encode())) for name in FILES)
    return {name: text for name, text in texts if text is not None}


def _common(stacks: Sequence[Stack], number: int) -> tuple[Digest, ...]:
    """The lowest layers of an image that it shares with an earlier one; of the one that shares most."""
    own = stacks[number].diff_ids()
    others = (stack.diff_ids() for stack in stacks[:number])
    return max((tuple(_same_first(own, other)) for other in others), key=len, default=())


def _same_first(one: Sequence[Digest], other: Sequence[Digest]) -> Iterator[Digest]:
    return (a for a, _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
