"""How far a long piece of work is: a line on the terminal that is written over, and nothing anywhere else."""

import os
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TextIO

from dockertools_py.pack.verified import Buffer

_INTERVAL = 0.1


class Progress:
    """Counts bytes of `total`; says so on stderr while it is a terminal."""

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total, self._done = what, total, 0
        self._started = self._shown = time.monotonic()
        self._is_terminal = is_terminal(sys.stderr)

    def counted(self, chunks: Iterable[Buffer]) -> Iterator[Buffer]:
        """`chunks` as they are, counted."""
        for chunk in chunks:
            yield chunk
            self.add(len(chunk))

    def add(self, count: int) -> None:
        """So many bytes more are done."""
        self._done += count
        now = time.monotonic()
        if self._is_terminal and now - self._shown > _INTERVAL:
            self._shown = now
            rate = self._done / (now - self._started)
            percent = 100 * self._done // max(1, self._total)
            print(
                f"\r{self._what}: {percent:3} % of {size(self._total)}, {size(int(rate))}/s ", end="", file=sys.stderr
            )

    def end(self) -> None:
        """Clear the line."""
        if self._is_terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def is_terminal(out: TextIO) -> bool:
    """Whether what was written there can be written over."""
    return out.isatty() and os.environ.get("TERM") != "dumb"


def size(count: int) -> str:
    """A number of bytes for people: `13.3 MB`."""
    value, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value /= 1000
        del units[0]
    return f"{value:.0f} {units[0]}" if units[0] == "B" else f"{value:.1f} {units[0]}"
