"""The fields of a tar header: text that ends at a zero, numbers in octal digits or in GNU's base 256."""

from functools import lru_cache

from dockertools_py.errors import DockertoolsError, shown


def text(field: bytes) -> bytes:
    """What is before the first zero."""
    return field.partition(b"\0")[0]


@lru_cache(maxsize=1024)  # modes, owners and times are the same for many
def number(field: bytes, what: str) -> int:
    """Octal digits, or GNU's base 256 where the first bit is set. Raises DockertoolsError that says `what` it was."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big", signed=False) & ((1 << (8 * len(field) - 1)) - 1)
        return value - (1 << (8 * len(field) - 1)) if field[0] & 0x40 else value
    digits = field.strip(b" \0")
    if not digits:
        return 0
    if not digits.isdigit() or b"8" in digits or b"9" in digits:
        raise DockertoolsError(f"a tar header with {what} {shown(field)}, which is no octal number")
    return int(digits, 8)
