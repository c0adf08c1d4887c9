"""Several tasks at once, a process each: making headers is Python's work, which threads do not share.

`parallel` runs many, `beside` one while its caller goes on, and `shares` says how many threads each of many is worth. A fork
costs a millisecond, and shares what was read already.
Results come back as JSON through a pipe; whatever goes wrong in a child comes back too and is raised here.
"""

import json
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from typing import Any, BinaryIO

from dockertools_py.errors import DockertoolsError

Task = Callable[[], Any]


def parallel(tasks: Sequence[Task], weights: Sequence[int], workers: int) -> list[Any]:
    """The results of `tasks` (JSON values), in order. Heavy ones are dealt out first, each to the least loaded worker."""
    if workers <= 1 or len(tasks) <= 1:
        return [task() for task in tasks]
    dealt: list[list[int]] = [[] for _ in range(min(workers, len(tasks)))]
    loads = [0] * len(dealt)
    for number in sorted(range(len(tasks)), key=lambda n: -weights[n]):
        lightest = loads.index(min(loads))
        dealt[lightest].append(number)
        loads[lightest] += weights[number] + 1
    running = dict(_start(tasks, share) for share in dealt)
    try:
        return _collected(running, len(tasks))
    finally:
        _end(running)


def shares(sizes: Sequence[int], cores: int) -> list[int]:
    """How many threads each of several contents has, of which a process each makes `cores` at once, the largest first.

    Each has its part of what is left then: the last one, beside which the other cores would be idle, has all of them.
    """
    ordered = sorted(range(len(sizes)), key=lambda number: (sizes[number], -number))  # the last first
    left = dict(zip(ordered, accumulate(sizes[number] for number in ordered), strict=True))
    return [max(1, round(cores * size / max(1, left[number]))) for number, size in enumerate(sizes)]


@contextmanager
def beside(task: Task) -> Iterator[Callable[[], Any]]:
    """Run `task` in a process of its own; what the context gives waits for its result, a JSON value."""
    running = dict([_start([task], [0])])
    try:
        yield lambda: _collected(running, 1)[0]
    finally:
        _end(running)


def _end(running: dict[int, BinaryIO]) -> None:
    """Nobody wants their results any more."""
    for pid, pipe in running.items():
        pipe.close()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _collected(running: dict[int, BinaryIO], count: int) -> list[Any]:
    """The results of all workers, which are taken out of `running` as they end. Raises what went wrong in one of them."""
    results: dict[int, Any] = {}
    failures: list[BaseException] = []
    for pid, pipe in list(running.items()):
        with pipe:
            answer = pipe.read()
        _, status = os.waitpid(pid, 0)
        del running[pid]
        if status or not answer:
            failures.append(RuntimeError(f"a worker ended with wait status {status}"))
        elif answer[:1] == b"!":
            failures.append(_unpacked(answer[1:]))
        else:
            results.update((int(number), value) for number, value in json.loads(answer).items())
    if failures:
        raise failures[0]
    return [results[number] for number in range(count)]


def _start(tasks: Sequence[Task], share: Sequence[int]) -> tuple[int, BinaryIO]:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, os.fdopen(reading, "rb")
    try:
        os.close(reading)
        try:
            answer = json.dumps({number: tasks[number]() for number in share}).encode()
        except BaseException as error:
            answer = b"!" + _packed(error)
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(answer)
    finally:
        os._exit(0)


def _packed(error: BaseException) -> bytes:
    """An exception as its parent is to raise it."""
    import pickle  # noqa: PLC0415 - 2 ms with the other, and most builds have no failure

    if isinstance(error, OSError):
        error = OSError(error.errno, error.strerror, error.filename)
    elif not isinstance(error, DockertoolsError):  # a bug: the parent could not show where it is
        import traceback  # noqa: PLC0415

        error = RuntimeError("".join(traceback.format_exception(error)))
    return pickle.dumps(error)


def _unpacked(packed: bytes) -> BaseException:
    import pickle  # noqa: PLC0415

    error: BaseException = pickle.loads(packed)  # of our own child
    return error
