"""Which image of an index is for a platform."""

from collections.abc import Iterable

from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model.descriptor import Descriptor
from dockertools_py.model.platform import Platform


def choose(manifests: Iterable[Descriptor], wanted: Platform, what: str) -> Descriptor:
    """The best entry of an index for a platform; of equal ones the first. Raises DockertoolsError with what there is."""
    entries = tuple(manifests)
    if best := wanted.best_of(entry.platform for entry in entries if entry.platform):
        return next(entry for entry in entries if entry.platform == best)
    if len(entries) == 1 and entries[0].platform is None:
        return entries[0]
    # Docker's attestations are for unknown/unknown.
    there = sorted({str(e.platform) for e in entries if e.platform and e.platform.os != "unknown"})
    raise DockertoolsError(f"{what}: nothing for {wanted} in it; there is: {shown(', '.join(there) or 'nothing', 400)}")
