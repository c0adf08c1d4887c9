"""Engines that are asked through their own program: its output is bounded, and an archive goes to its standard input."""

import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from dockertools_py.engines.engine import Refused, Unreachable, WriteArchive
from dockertools_py.errors import DockertoolsError, shown
from dockertools_py.pack.verified import Buffer

MAX_OUTPUT = 64 << 20
TERMINATED_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Output:
    """What a program wrote, and its exit code."""

    code: int
    stdout: bytes
    stderr: str


def ask(command: Sequence[str]) -> Output:
    """Run a program that is told nothing. Raises Unreachable when there is none of that name."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        process = _started(command, subprocess.DEVNULL, out, errors)
        try:
            code = process.wait()
        except BaseException:
            _end(process)
            raise
        return Output(code, _content(out, command), _text(errors))


def answer(command: Sequence[str]) -> str:
    """The output of a program that must not fail. Raises DockertoolsError with its own words."""
    output = ask(command)
    if output.code:
        raise DockertoolsError(f"{shown(' '.join(command))}: {output.stderr or f'exit code {output.code}'}")
    return output.stdout.decode(errors="replace")


def feed(command: Sequence[str], write_archive: WriteArchive) -> None:
    """Give an archive to a program. Raises Refused when it fails or stops reading, with its own words."""
    with tempfile.TemporaryFile() as out:
        process = _started(command, subprocess.PIPE, out, out)
        pipe = process.stdin
        assert pipe
        stopped = False
        try:
            try:
                write_archive(lambda data: _write_all(pipe.fileno(), data))
            except BrokenPipeError:
                stopped = True
            pipe.close()
            code = process.wait()
        except BaseException:
            # Ended before its input: it must not take what it has for all of the archive.
            _end(process)
            pipe.close()
            raise
        if code or stopped:
            raise Refused(_text(out) or f"exit code {code}")


def _started(command: Sequence[str], stdin: int, out: BinaryIO, errors: BinaryIO) -> "subprocess.Popen[bytes]":
    try:
        return subprocess.Popen(command, stdin=stdin, stdout=out, stderr=errors, bufsize=0)
    except FileNotFoundError as error:
        raise Unreachable(f"no program {command[0]} is on PATH") from error


def _write_all(fd: int, data: Buffer) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(TERMINATED_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _content(file: BinaryIO, command: Sequence[str]) -> bytes:
    file.seek(0)
    data = file.read(MAX_OUTPUT + 1)
    if len(data) > MAX_OUTPUT:
        raise DockertoolsError(f"{shown(' '.join(command))}: more than {MAX_OUTPUT} bytes of output")
    return data


def _text(file: BinaryIO) -> str:
    """Its end, on one line: what a program says last is the error as a rule."""
    file.seek(0)
    lines = file.read(MAX_OUTPUT).decode(errors="replace").split("\n")
    return shown("; ".join(line.strip() for line in lines[-20:] if line.strip()), 1000)
