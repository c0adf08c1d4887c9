"""Which image of an index is for a platform."""

from collections.abc import Iterable

from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model.descriptor import Descriptor
from dockertools_py.model.platform import Platform


def parse_platform(text: str) -> Platform:
    """From `os/architecture[/variant]`, as in `linux/arm64/v8`. Raises DockertoolsError."""
    parts = text.split("/")
    if len(parts) not in (2, 3) or not all(part.isascii() and part.isalnum() for part in parts):
        raise DockertoolsError(f"platform {shown(text)!r}: write os/architecture, as in linux/amd64 or linux/arm/v7")
    return Platform(parts[1], parts[0], parts[2] if len(parts) == 3 else "")


def choose(manifests: Iterable[Descriptor], wanted: Platform, what: str) -> Descriptor:
    """The best entry of an index for a platform; of equal ones the first. Raises DockertoolsError with what there is."""
    entries = tuple(manifests)
    order = wanted.variants()
    fitting = [entry for entry in entries if entry.platform and entry.platform.runs_on(wanted)]
    if fitting:
        return min(fitting, key=lambda entry: order.index(entry.platform.variant if entry.platform else ""))
    if len(entries) == 1 and entries[0].platform is None:
        return entries[0]
    # Docker's attestations are for unknown/unknown.
    there = sorted({str(e.platform) for e in entries if e.platform and e.platform.os != "unknown"})
    raise DockertoolsError(f"{what}: nothing for {wanted} in it; there is: {shown(', '.join(there) or 'nothing', 400)}")
