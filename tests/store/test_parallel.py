"""Several processes: results in order, and whatever goes wrong in one is raised here."""

import os
import signal
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from dockertools_py.errors import DockertoolsError
from dockertools_py.parallel import beside, parallel, shares
from tests.oracle.children import no_child_is_left


def fails(error: BaseException) -> Any:
    raise error


def killed() -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    with no_child_is_left():
        yield


@pytest.mark.parametrize("workers", [0, 1, 2, 5, 100])
def test_results_are_in_order(workers: int) -> None:
    tasks = [partial(lambda n: {"n": n}, number) for number in range(23)]
    assert parallel(tasks, [number % 7 for number in range(23)], workers) == [{"n": number} for number in range(23)]


def test_tasks_run_in_other_processes_and_at_once() -> None:
    pids = parallel([os.getpid] * 6, [1] * 6, 3)
    assert len(set(pids)) == 3
    assert os.getpid() not in pids


def test_one_task_and_one_worker_need_no_process() -> None:
    assert parallel([os.getpid], [1], 8) == [os.getpid()]
    assert parallel([os.getpid] * 3, [1] * 3, 1) == [os.getpid()] * 3
    assert parallel([], [], 8) == []


def test_large_results_pass() -> None:
    assert list(map(len, parallel([lambda: "x" * 5_000_000] * 4, [1] * 4, 2))) == [5_000_000] * 4


@pytest.mark.parametrize("bad", range(4))
def test_an_exception_of_a_child_is_raised(bad: int) -> None:
    tasks: list[Any] = [lambda: 1] * 4
    tasks[bad] = partial(fails, DockertoolsError("bad task"))
    with pytest.raises(DockertoolsError, match=r"^bad task$"):
        parallel(tasks, [1] * 4, 2)


def test_errors_of_the_system_keep_their_number_and_file() -> None:
    with pytest.raises(FileNotFoundError) as caught:
        parallel([partial(os.lstat, b"/absent/\xff"), lambda: 1], [1, 1], 2)
    assert (caught.value.errno, caught.value.filename) == (2, b"/absent/\xff")


def test_a_child_that_is_killed_is_an_error_and_no_hang() -> None:
    with pytest.raises(RuntimeError, match=r"^a worker ended with wait status 9$"):
        parallel([killed, lambda: 1, lambda: 2], [1, 1, 1], 3)


def test_an_exception_that_cannot_be_sent_is_an_error_too() -> None:
    class Local(Exception):
        pass

    with pytest.raises(RuntimeError, match=r"(?s)Traceback.*in fails.*Local"):
        parallel([partial(fails, Local()), lambda: 1], [1, 1], 2)


def test_a_result_that_is_no_json_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="not JSON serializable"):
        parallel([lambda: {1, 2}, lambda: 1], [1, 1], 2)


def test_beside_what_else_is_done() -> None:
    with beside(os.getpid) as result:
        assert result() not in (os.getpid(), None)
    with (
        pytest.raises(DockertoolsError, match=r"^bad task$"),
        beside(partial(fails, DockertoolsError("bad task"))) as result,
    ):
        result()
    with pytest.raises(RuntimeError, match=r"^a worker ended with wait status 9$"), beside(killed) as result:
        result()


def test_what_nobody_waits_for_is_ended() -> None:
    with pytest.raises(DockertoolsError, match="no tar"), beside(signal.pause):
        raise DockertoolsError("no tar")


def test_no_descriptor_is_left_open() -> None:
    before = len(os.listdir("/proc/self/fd"))
    parallel([lambda: 1] * 4, [1] * 4, 2)
    with pytest.raises(RuntimeError):
        parallel([killed] * 4, [1] * 4, 2)
    with beside(signal.pause):
        pass
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("sizes", "cores", "threads"),
    [
        ([], 2, []),
        ([5], 4, [4]),
        ([0], 2, [1]),
        ([100, 100, 100], 2, [1, 1, 2]),
        ([100, 100, 100, 1], 2, [1, 1, 2, 2]),
        ([90, 5, 5], 2, [2, 1, 2]),
        ([10] * 10, 8, [1, 1, 1, 1, 1, 2, 2, 3, 4, 8]),
        ([1] * 5, 1, [1] * 5),
    ],
)
def test_every_core_has_something_to_do_to_the_end(sizes: list[int], cores: int, threads: list[int]) -> None:
    assert shares(sizes, cores) == threads
