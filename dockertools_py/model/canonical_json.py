"""The one encoder of JSON that is hashed: sorted keys, no spaces, UTF-8.

Every digest of a config, manifest or index follows from these bytes; a change here changes the id of every image.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

from dockertools_py.errors import DockertoolsError, shown

MAX_JSON_BYTES = 32 << 20
"""Manifests are bounded to 4 MiB by registries; configs with long histories and our descriptions are larger."""


def encode(value: Any) -> bytes:
    """`value` as canonical JSON bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8")


def decode_object(data: bytes, what: str) -> Mapping[str, Any]:
    """The JSON object in `data`; `what` names the file in the error. Raises DockertoolsError."""
    if len(data) > MAX_JSON_BYTES:
        raise DockertoolsError(f"{what}: {len(data)} bytes of JSON, more than the {MAX_JSON_BYTES} that are read")
    value = _decode(data, what)
    if not isinstance(value, dict):
        raise DockertoolsError(f"{what}: a JSON object was expected, not {shown(type(value).__name__)}")
    return value


def decode_list(data: bytes, what: str) -> list[Any]:
    """The JSON list in `data`; `what` names the file in the error. Raises DockertoolsError."""
    value = _decode(data, what)
    if not isinstance(value, list):
        raise DockertoolsError(f"{what}: a JSON list was expected, not {shown(type(value).__name__)}")
    return value


def _decode(data: bytes, what: str) -> Any:
    try:
        value = json.loads(data, parse_constant=_number, parse_float=_number)
        if b"\\u" in data:  # an escape may be half a character, which no UTF-8 can say
            encode(value)
        return value
    except RecursionError as error:  # whose text follows the version of Python
        raise DockertoolsError(f"{what}: not JSON (nested too deeply)") from error
    except ValueError as error:
        raise DockertoolsError(f"{what}: not JSON ({shown(error)})") from error


def _number(text: str) -> float:
    """A float, finite as all numbers of JSON are: Python alone reads `NaN`, and makes infinity of `1e999`."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not a number")
    return value
