"""The one error that users see: everything else is a bug and shows its traceback."""


class DockertoolsError(Exception):
    """A mistake in what was given to us, said in one line: what, which value, which rule, the way out."""


class MissingProgramError(DockertoolsError):
    """What was given may be right, but a program that reads it was not: nothing is known of it."""


def shown(value: object, limit: int = 120) -> str:
    """`value` for an error message: on one line, control characters escaped, shortened to `limit` characters.

    A bracket that is closed at its end stays closed.
    """
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    if len(text) <= limit:
        return text
    cut = text[: limit - 1]
    is_closed = text.endswith(")") and cut.count("(") > cut.count(")")
    return cut[:-1] + "…)" if is_closed else cut + "…"
