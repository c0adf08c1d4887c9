"""The folder beside an output: nothing of it stays, whatever happens meanwhile."""

import os
import shutil
import signal
import threading
from pathlib import Path

import pytest

from dockertools_py.commands.writing import folder_beside
from dockertools_py.errors import DockertoolsError


def test_threads_that_are_left_behind_make_no_files_in_it(tmp_path: Path) -> None:
    made, ended = threading.Event(), threading.Event()

    def go_on(folder: Path) -> None:
        try:
            for number in range(10**9):
                (folder / str(number)).touch()
                made.set()
        except FileNotFoundError:
            ended.set()

    with pytest.raises(KeyboardInterrupt), folder_beside(tmp_path / "out") as folder:
        threading.Thread(target=go_on, args=(folder,), daemon=True).start()
        assert made.wait(60)
        raise KeyboardInterrupt
    assert ended.wait(60)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_goes_though_a_signal_comes_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    came: list[int] = []
    before = signal.signal(number, lambda number, _: came.append(number))
    remove = shutil.rmtree

    def disturbed(folder: Path) -> None:
        os.kill(os.getpid(), number)
        assert came == []
        remove(folder)

    monkeypatch.setattr(shutil, "rmtree", disturbed)
    try:
        with folder_beside(tmp_path / "out") as folder:
            (folder / "file").touch()
    finally:
        signal.signal(number, before)
    assert came == [number]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    output = tmp_path / "absent/out"
    with pytest.raises(DockertoolsError, match=r"absent/out: .*absent is no directory$"), folder_beside(output):
        pass
