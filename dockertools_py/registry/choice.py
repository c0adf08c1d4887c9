"""Which image of an index is for a platform."""

from collections.abc import Iterable

from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.model.descriptor import Descriptor
from dockertools_py.model.platform import Platform

_VARIANTS: dict[str, dict[str, tuple[str, ...]]] = {
    # What a CPU runs, best first, by what was asked for; "" is what an index says that names no variant.
    "arm": {
        "v8": ("v8", "v7", "", "v6", "v5"),
        "": ("v7", "", "v6", "v5"),
        "v7": ("v7", "", "v6", "v5"),
        "v6": ("v6", "v5"),
    },
    "arm64": {"": ("", "v8"), "v8": ("v8", "")},
    "amd64": {
        "": ("", "v1"),
        "v1": ("v1", ""),
        "v2": ("v2", "v1", ""),
        "v3": ("v3", "v2", "v1", ""),
        "v4": ("v4", "v3", "v2", "v1", ""),
    },
}


def parse_platform(text: str) -> Platform:
    """From `os/architecture[/variant]`, as in `linux/arm64/v8`. Raises DockertoolsError."""
    parts = text.split("/")
    if len(parts) not in (2, 3) or not all(part.isascii() and part.isalnum() for part in parts):
        raise DockertoolsError(f"platform {shown(text)!r}: write os/architecture, as in linux/amd64 or linux/arm/v7")
    return Platform(parts[1], parts[0], parts[2] if len(parts) == 3 else "")


def runs_on(found: Platform, wanted: Platform) -> bool:
    """Whether an image for `found` is one for `wanted`."""
    return (found.os, found.architecture) == (wanted.os, wanted.architecture) and found.variant in _variants(wanted)


def choose(manifests: Iterable[Descriptor], wanted: Platform, what: str) -> Descriptor:
    """The best entry of an index for a platform; of equal ones the first. Raises DockertoolsError with what there is."""
    entries = tuple(manifests)
    order = _variants(wanted)
    fitting = [entry for entry in entries if entry.platform and runs_on(entry.platform, wanted)]
    if fitting:
        return min(fitting, key=lambda entry: order.index(entry.platform.variant if entry.platform else ""))
    if len(entries) == 1 and entries[0].platform is None:
        return entries[0]
    # Docker's attestations are for unknown/unknown.
    there = sorted({str(e.platform) for e in entries if e.platform and e.platform.os != "unknown"})
    raise DockertoolsError(f"{what}: nothing for {wanted} in it; there is: {shown(', '.join(there) or 'nothing', 400)}")


def _variants(wanted: Platform) -> tuple[str, ...]:
    return _VARIANTS.get(wanted.architecture, {}).get(wanted.variant, (wanted.variant,))
