"""The hash of a store path's content, in each of the forms in which Nix writes it.

Nix manual, "Content-Addressing Store Objects" and `nix hash convert`: `sha256:` and 64 hexadecimal digits, as its database has
it; `sha256:` and 52 letters of its own base 32, as `exportReferencesGraph` has it; `sha256-` and base 64, as everybody else.
"""

import base64
import binascii
import re

from dockertools_py.errors import DockertoolsError, shown

_LETTERS = "0123456789abcdfghijklmnpqrsvwxyz"
"""Without e, o, u and t."""
_BITS = 5
_SIZE = 32


def parse_nar_hash(text: str, what: str) -> str:
    """`sha256:` and hexadecimal digits, of any of the forms. Raises DockertoolsError; `what` names it there."""
    digest: bytes | None = None
    if re.fullmatch(r"sha256:[0-9a-f]{64}", text):
        digest = bytes.fromhex(text[7:])
    elif re.fullmatch(rf"sha256:[{_LETTERS}]{{52}}", text):
        digest = _base32(text[7:])
    elif re.fullmatch(r"sha256-[A-Za-z0-9+/]{43}=", text):
        try:
            digest = base64.b64decode(text[7:], validate=True)
        except binascii.Error:
            digest = None
    if digest is None:
        raise DockertoolsError(f"{what}: {shown(text)} is no SHA-256 as Nix writes it")
    return f"sha256:{digest.hex()}"


def _base32(text: str) -> bytes | None:
    """The letters are the number from its end, the lowest byte first; None where they say more than 32 bytes."""
    number = 0
    for letter in text:
        number = number << _BITS | _LETTERS.index(letter)
    return number.to_bytes(_SIZE, "little") if number >> 8 * _SIZE == 0 else None
