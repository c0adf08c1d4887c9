"""Transfers as they are shown: bars that leave nothing behind on a terminal, lines in a log, events for programs."""

import fcntl
import io
import json
import os
import re
import struct
import termios

import pytest

from dockertools_py.commands.transfers import Transfers
from dockertools_py.model.digest import Digest

DIGEST = Digest.of(b"")


@pytest.fixture(autouse=True)
def usual_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def screen(text: str) -> list[str]:
    """What a terminal shows in the end: lines, where the cursor goes up and all below is cleared."""
    lines = [""]
    for part in re.split(r"(\x1b\[\d+A|\x1b\[J|\n)", text):
        if part == "\n":
            lines.append("")
        elif part == "\x1b[J":
            pass
        elif part.startswith("\x1b["):
            count = int(part[2:-1])
            assert lines[-1] == "", "the cursor is at the begin of a line"
            del lines[-1 - count :]
            lines.append("")
        else:
            lines[-1] += part
    return lines[:-1]


def play(transfers: Transfers) -> None:
    """Two layers are sent, of which one is made meanwhile, two are there; a config is sent too."""
    transfers.skipped("layer a", DIGEST, 800_000_000, "there")
    transfers.begun("layer b (store: app)", None)
    transfers.begun("layer c", 2_000_000)
    transfers.moved("layer c", 500_000)
    transfers.moved("layer b (store: app)", 1_000)
    transfers.say("layer c: the connection dropped; again in 1.0 s")
    transfers.moved("layer c", 2_000_000)
    transfers.sent("layer c", DIGEST, 2_000_000)
    transfers.moved("layer b (store: app)", 3_000)
    transfers.sent("layer b (store: app)", DIGEST, 3_000)
    transfers.skipped("layer d", DIGEST, 1_000, "mounted")
    transfers.begun("config e", 500)
    transfers.sent("config e", DIGEST, 500)
    transfers.end(digest=str(DIGEST), references=["x/y"])


LINES = [
    r"push: layer c: the connection dropped; again in 1\.0 s",
    r"push: layer c: 2\.0 MB, \S+ [kMGT]?B/s",
    r"push: layer b \(store: app\): 3\.0 kB, \S+ [kMGT]?B/s",
    r"push: config e: 500 B, \S+ [kMGT]?B/s",
    r"push: 2 of 4 layers sent, 2\.0 MB of 802\.0 MB, 0\.\d s",
]


def matches(lines: list[str]) -> None:
    assert len(lines) == len(LINES), lines
    for line, pattern in zip(lines, LINES, strict=True):
        assert re.fullmatch(pattern, line), line


def test_lines() -> None:
    out = io.StringIO()
    transfers = Transfers("push", out=out)
    play(transfers)
    transfers.stop()
    matches(out.getvalue().splitlines())
    assert "\x1b" not in out.getvalue()


def test_bars() -> None:
    out = Terminal()
    transfers = Transfers("push", out=out)
    transfers.INTERVAL = 0.0  # every movement is drawn
    play(transfers)
    transfers.stop()
    written = out.getvalue()
    assert "[#####               ] 500.0 kB of 2.0 MB, " in written
    assert re.search(r"\[made as it is sent  \] 1\.0 kB, \S+ [kMGT]?B/s  layer b \(store: app\)\n", written)
    assert "1 layers there already, 0 sent, 2 on their way\n" in written
    matches(screen(written))


def test_bars_are_gone_after_a_failure() -> None:
    out = Terminal()
    transfers = Transfers("push", out=out)
    transfers.INTERVAL = 0.0
    transfers.begun("layer \x1b[2J", 10)
    transfers.moved("layer \x1b[2J", 5)
    assert "\x1b[2J" not in out.getvalue(), "what comes from elsewhere is no command to the terminal"
    transfers.stop()
    assert screen(out.getvalue()) == []
    transfers.moved("layer \x1b[2J", 6)  # a thread that is left behind
    assert screen(out.getvalue()) == []


def test_a_line_leaves_the_bars_where_they_are() -> None:
    out = Terminal()
    transfers = Transfers("push", out=out)
    transfers.begun("layer a", 10)
    transfers.say("something else")
    assert [line.split(",")[0] for line in screen(out.getvalue())] == [
        "push: something else",
        "[                    ] 0 B of 10 B",
        "0 layers there already",
    ]
    transfers.stop()
    assert screen(out.getvalue()) == ["push: something else"]


def test_a_narrow_terminal() -> None:
    """No line may be longer than it: what is taken away later are as many as were written."""
    master, slave = os.openpty()
    try:
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 30, 0, 0))
        with open(slave, "w", closefd=False) as out:
            transfers = Transfers("push", out=out)
            transfers.INTERVAL = 0.0
            transfers.begun("layer a", 2_000_000)
            transfers.moved("layer a", 500_000)
        lines = os.read(master, 4096).decode().splitlines()
        assert len(lines) == 2 and max(map(len, lines)) == 29 and lines[0].startswith("[#####      ")
    finally:
        os.close(master)
        os.close(slave)


def test_a_terminal_that_cannot_go_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    out = Terminal()
    transfers = Transfers("push", out=out)
    transfers.INTERVAL = 0.0
    play(transfers)
    transfers.stop()
    matches(out.getvalue().splitlines())


def test_events() -> None:
    out = io.StringIO()
    play(Transfers("push", events=True, out=out))
    events = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [event["event"] for event in events] == [
        "skipped", "begun", "begun", "said", "sent", "sent", "skipped", "begun", "sent", "pushed",
    ]  # fmt: skip
    assert events[0] == {
        "event": "skipped",
        "label": "layer a",
        "digest": str(DIGEST),
        "size": 800_000_000,
        "why": "there",
    }
    last = events[-1]
    assert 0 <= last.pop("seconds") < 60
    assert last == {
        "event": "pushed", "digest": str(DIGEST), "references": ["x/y"],
        "layers": 4, "layersSent": 2, "bytes": 802_004_500, "bytesSent": 2_003_500,
    }  # fmt: skip
