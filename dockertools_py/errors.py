"""The one error that users see: everything else is a bug and shows its traceback."""


class DockertoolsError(Exception):
    """A mistake in what was given to us, said in one line: what, which value, which rule, the way out."""


class MissingProgramError(DockertoolsError):
    """What was given may be right, but a program that reads it was not: nothing is known of it."""


def shown(value: object, limit: int = 120) -> str:
    """`value` for an error message: on one line, control characters escaped, shortened to `limit` characters."""
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    return text if len(text) <= limit else text[: limit - 1] + "…"
