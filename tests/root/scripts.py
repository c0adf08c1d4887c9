"""The scripts of the matrix, by name."""

from typing import NamedTuple

from tests.root.trees import HERE


class Script(NamedTuple):
    """An interpreter with its options, and what it gets."""

    interpreter: tuple[str, ...]
    text: str


def _read() -> dict[str, Script]:
    found = {}
    for part in (HERE / "scripts.txt").read_text().split("\n== ")[1:]:
        head, _, text = part.partition("\n")
        name, _, interpreter = head.partition(": ")
        assert name not in found
        found[name] = Script(tuple(interpreter.split()), text.rstrip() + "\n")
    return found


SCRIPTS = _read()
