"""Several requests at once: the first failure counts, and so does an interrupt, whatever is still on its way."""

import signal
import threading
from functools import partial

import pytest

from dockertools_py.errors import DockertoolsError
from dockertools_py.registry.together import together


def test_together_raises_what_failed_first_and_begins_no_more() -> None:
    begun: list[int] = []
    stalled = threading.Event()

    def task(number: int) -> int:
        begun.append(number)
        if number == 1:
            raise DockertoolsError("one")
        if number == 0:
            stalled.wait(60)  # nobody waits for it
        return number

    with pytest.raises(DockertoolsError, match=r"^one$"):
        together([partial(task, number) for number in range(100)], 2)
    stalled.set()
    assert len(begun) < 100
    assert together([partial(int, str(number)) for number in range(50)], 7) == list(range(50))
    assert together([]) == []


def test_a_signal_that_wakes_nobody() -> None:
    """As when one comes just before the main thread waits: Python has noted it, and nothing ends that wait."""
    stalled = threading.Event()
    ended: list[bool] = []

    def interrupted(number: int, frame: object) -> None:
        raise KeyboardInterrupt(number)

    def task() -> None:
        threading.Event().wait(0.5)  # by then it waits
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
        ended.append(stalled.wait(20))

    before = signal.signal(signal.SIGUSR1, interrupted)
    try:
        with pytest.raises(KeyboardInterrupt):
            together([task])
        assert not ended
    finally:
        signal.signal(signal.SIGUSR1, before)
        stalled.set()
