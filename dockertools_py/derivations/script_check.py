"""Whether scripts make the same layer each time that they run; if not, where it differs."""

from collections.abc import Iterator
from pathlib import Path

from dockertools_py.derivations.attributes import Attributes
from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model.entry import Entry
from dockertools_py.store.description import read_layers
from dockertools_py.store.opened_layer import OpenedLayer, open_layer

NAMED = 5
"""Paths in an error: one that is told is mended, and the next run tells of the next."""

_FIELDS = ("kind", "mode", "owner", "mtime", "size", "link", "device", "xattrs")


def build(attributes: Attributes) -> None:
    """Spec: `first` and `second`, descriptions of what two runs made. Raises DockertoolsError where they differ."""
    runs = [read_layers(Path(attributes.spec[run])) for run in ("first", "second")]
    if [layer.diff_id for layer in runs[0]] != [layer.diff_id for layer in runs[1]]:
        # There is one layer, or none where the scripts changed nothing.
        opened = [[open_layer(layer, attributes.build_top) for layer in layers] for layers in runs]
        found = list(_differences(opened[0], opened[1]))
        more = f"; and {len(found) - NAMED} more" if len(found) > NAMED else ""
        raise DockertoolsError(
            f"{(runs[0] or runs[1])[0].created_by}: two runs made different layers: {'; '.join(found[:NAMED])}{more}: "
            "leave out what follows the clock, random numbers or the machine, or remove it at the end of the script"
        )
    attributes.out.write_text("".join(f"two runs made {layer.label()}\n" for layer in runs[0]))


def _differences(first: list[OpenedLayer], second: list[OpenedLayer]) -> Iterator[str]:
    one, other = ({m[0].name: (layer, m) for layer in run for m in layer.members()} for run in (first, second))
    for name in sorted(one.keys() | other.keys()):
        if name not in one or name not in other:
            yield f"/{shown(name)} is there once only"
            continue
        (layer, (entry, at)), (layer_2, (entry_2, at_2)) = one[name], other[name]
        fields = [field for field in _FIELDS if getattr(entry, field) != getattr(entry_2, field)]
        if fields:
            yield f"/{shown(name)} in {', '.join(fields)}"
        elif entry.size and (where := _first_difference(entry, (layer, at), (layer_2, at_2))) is not None:
            yield f"/{shown(name)} in content, from byte {where} on"


def _first_difference(entry: Entry, one: tuple[OpenedLayer, int], other: tuple[OpenedLayer, int]) -> int | None:
    """Of two files of one size the first byte that differs."""
    at = 0
    # Both are tars that are not compressed, so the chunks are of equal sizes.
    for a, b in zip(one[0].content(entry, one[1]), other[0].content(entry, other[1]), strict=True):
        if a != b:
            return at + next(i for i, (x, y) in enumerate(zip(a, b, strict=True)) if x != y)
        at += len(a)
    return None
