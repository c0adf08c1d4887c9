"""Transfers as they go: bars on a terminal, lines anywhere else, or an event a line for programs."""

import json
import os
import sys
import time
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, TextIO

from dockertools_py.commands.progress import is_terminal
from dockertools_py.commands.progress import size as shown_size
from dockertools_py.errors import shown
from dockertools_py.model.digest import Digest

_BAR = 20
_COLUMNS = 80
"""Of a terminal that does not say how wide it is."""
LAYER = "layer "
"""What the label of a layer begins with; what else is sent (a config) is not counted."""


@dataclass(slots=True)
class _Transfer:
    size: int | None
    begun: float
    position: int = 0


@dataclass(slots=True)
class Tally:
    """What was sent of what there is; sizes in bytes as they are sent."""

    layers: int = 0
    layers_sent: int = 0
    bytes_total: int = 0
    bytes_sent: int = 0
    past: str = "sent"
    """What was done with them, for the closing line."""
    started: float = field(default_factory=time.monotonic)

    def add(self, label: str, size: int, *, is_sent: bool) -> None:
        """Count a blob."""
        is_layer = label.startswith(LAYER)
        self.layers += is_layer
        self.layers_sent += is_layer and is_sent
        self.bytes_total += size
        self.bytes_sent += size if is_sent else 0

    def line(self) -> str:
        """The closing line."""
        seconds = time.monotonic() - self.started
        sent, total = shown_size(self.bytes_sent), shown_size(self.bytes_total)
        return f"{self.layers_sent} of {self.layers} layers {self.past}, {sent} of {total}, {seconds:.1f} s"

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        seconds = round(time.monotonic() - self.started, 3)
        return {
            "layers": self.layers,
            "layersSent": self.layers_sent,
            "bytes": self.bytes_total,
            "bytesSent": self.bytes_sent,
            "seconds": seconds,
        }


class Transfers:
    """Shows transfers on `out`; with `events` as JSON. See registry.watching.Watcher."""

    INTERVAL = 0.1
    """Seconds between two drawings."""

    def __init__(
        self,
        verb: str,
        *,
        events: bool = False,
        out: TextIO | None = None,
        past: str = "sent",
        end: str = "pushed",
        where: str = "",
    ) -> None:
        """`end` is the name of the closing event; `where` comes before the closing line."""
        self._verb, self._events, self._end, self._where = verb, events, end, where
        self._out = out or (sys.stdout if events else sys.stderr)
        self._is_terminal = not events and is_terminal(self._out)
        self.tally = Tally(past=past)
        self._running: dict[str, _Transfer] = {}
        self._lock = Lock()
        self._drawn, self._drawn_at = 0, 0.0

    def skipped(self, label: str, digest: Digest, size: int, why: str) -> None:
        """A blob need not be sent."""
        with self._lock:
            self.tally.add(label, size, is_sent=False)
            self._event("skipped", label=label, digest=str(digest), size=size, why=why)

    def begun(self, label: str, size: int | None) -> None:
        """A blob is on its way."""
        with self._lock:
            self._running[label] = _Transfer(size, time.monotonic())
            self._event("begun", label=label, size=size)

    def moved(self, label: str, position: int) -> None:
        """So many bytes of it are."""
        with self._lock:
            if transfer := self._running.get(label):
                transfer.position = position
            now = time.monotonic()
            if self._is_terminal and now - self._drawn_at > self.INTERVAL:
                self._drawn_at = now
                self._draw()

    def sent(self, label: str, digest: Digest, size: int) -> None:
        """A blob has arrived."""
        with self._lock:
            transfer = self._running.pop(label, None)
            self.tally.add(label, size, is_sent=True)
            self._event("sent", label=label, digest=str(digest), size=size)
            if transfer and not self._events:
                rate = int(size / max(1e-3, time.monotonic() - transfer.begun))
                self._line(f"{shown(label, 70)}: {shown_size(size)}, {shown_size(rate)}/s")

    def say(self, text: str) -> None:
        """Something that is no transfer: a second try, an image that cannot be reused."""
        with self._lock:
            if self._events:
                self._event("said", text=text)
            else:
                self._line(text)

    def end(self, **result: Any) -> None:
        """The closing line, or event."""
        with self._lock:
            if self._events:
                self._event(self._end, **result, **self.tally.to_json())
            else:
                self._line(self._where + self.tally.line())

    def stop(self) -> None:
        """Take away what is drawn, also after a failure."""
        with self._lock:
            self._erase()
            self._is_terminal = False

    def _event(self, name: str, **rest: Any) -> None:
        if self._events:
            print(json.dumps({"event": name, **rest}), file=self._out, flush=True)

    def _line(self, text: str) -> None:
        self._erase()
        print(f"{self._verb}: {text}", file=self._out, flush=True)
        if self._is_terminal and self._running:
            self._draw()  # at once: the next movement may be seconds away

    def _erase(self) -> None:
        if self._drawn:
            self._out.write(f"\x1b[{self._drawn}A\x1b[J")
            self._drawn = 0

    def _draw(self) -> None:
        self._erase()
        lines = [self._bar(label, transfer) for label, transfer in self._running.items()]
        there = self.tally.layers - self.tally.layers_sent
        lines.append(f"{there} layers there already, {self.tally.layers_sent} sent, {len(self._running)} on their way")
        # A longer one would become two, of which one is taken away.
        width = _columns(self._out) - 1
        lines = [shown(line, width) for line in lines]
        self._out.write("".join(line + "\n" for line in lines))
        self._out.flush()
        self._drawn = len(lines)

    def _bar(self, label: str, transfer: _Transfer) -> str:
        rate = shown_size(int(transfer.position / max(1e-3, time.monotonic() - transfer.begun)))
        if transfer.size:
            full = _BAR * min(transfer.position, transfer.size) // transfer.size
            done = f"[{'#' * full}{' ' * (_BAR - full)}] {shown_size(transfer.position)} of {shown_size(transfer.size)}"
        else:
            done = f"[{'made as it is sent':<{_BAR}}] {shown_size(transfer.position)}"
        return f"{done}, {rate}/s  {shown(label, 60)}"


def _columns(terminal: TextIO) -> int:
    # Not shutil's: that looks at standard output, which may be a file while this is a terminal.
    try:
        return os.get_terminal_size(terminal.fileno()).columns or _COLUMNS
    except OSError:
        return _COLUMNS
