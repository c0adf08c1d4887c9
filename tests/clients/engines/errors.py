"""What can go wrong when a container engine is asked to do something."""

from collections.abc import Sequence


class EngineError(Exception):
    """A command of an engine failed, or an engine misbehaved."""


class CommandError(EngineError):
    """A program ended with another exit code than 0."""

    def __init__(self, argv: Sequence[str], code: int, stdout: str, stderr: str) -> None:
        super().__init__(f"exit code {code} of: {' '.join(argv)}\n{stdout}{stderr}")
        self.code = code


class Refused(EngineError):
    """The engine did not take an archive, or took it and has no whole image of it."""
