"""Several requests at once: threads that nobody waits for once one of them failed or the user had enough."""

from collections import deque
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar

AT_ONCE = 6
"""Requests to a registry at the same time, as many as Docker and skopeo make of blobs."""

AWAKE = 0.2
"""Seconds after which whoever waits wakes, whether anything ended or not. Python looks for signals before it waits and when
it wakes: one that comes in between, or that the kernel gives to another thread, would count only when the next task ends."""

T = TypeVar("T")


def together(tasks: Sequence[Callable[[], T]], workers: int = AT_ONCE) -> list[T]:
    """The results of all tasks, in order; they are begun in order. Raises what the first one raised that failed.

    Then no further one is begun. Those that are on their way end with the process: threads of an executor would be waited
    for, and one of them may be waiting for a server that has stalled.
    """
    waiting = deque(enumerate(tasks))
    ended: SimpleQueue[tuple[int, T | None, BaseException | None]] = SimpleQueue()

    def work() -> None:
        while True:
            try:
                number, task = waiting.popleft()
            except IndexError:
                return
            try:
                ended.put((number, task(), None))
            except BaseException as error:
                waiting.clear()
                ended.put((number, None, error))

    threads = [Thread(target=work, daemon=True) for _ in range(min(workers, len(tasks)))]
    for thread in threads:
        thread.start()
    results: dict[int, T | None] = {}
    try:
        while len(results) < len(tasks):
            try:
                number, result, error = ended.get(timeout=AWAKE)
            except Empty:
                continue
            if error:
                raise error
            results[number] = result
    finally:
        waiting.clear()
    for thread in threads:  # whoever forks next must be alone
        thread.join()
    return [results[number] for number in range(len(tasks))]  # type: ignore[misc]
