"""./dev matrix: what counts as a failure, and what is said of it."""

from pathlib import Path

import pytest

from tests.matrix import run as matrix
from tests.matrix import tree
from tests.matrix.run import Step, passed, report, run_lane
from tests.matrix.tree import Failed, Tree, Unavailable


def good() -> str:
    return "12 passed"


def bad() -> str:
    raise Failed("the command said this")


def lacking() -> str:
    raise Unavailable("apt said this")


def lane(*work: str, place: str = "sid") -> list[Step]:
    steps = {"make": good, "fail": bad, "lack": lacking, "test": good}
    return [Step(place, what, steps[what], base=what != "test") for what in work]


def told(capsys: pytest.CaptureFixture[str], steps: list[Step], *words: str) -> tuple[int, str, str]:
    """The exit code, the last line of standard output, and all of standard error."""
    run_lane(steps, words)
    code = report(steps, words, 60)
    out, errors = capsys.readouterr()
    return code, out.splitlines()[-1], errors


def test_all_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, lane("make", "test"))[:2] == (0, "matrix: 2 passed, 0 failed")


def test_a_failure_fails_what_comes_after_it(capsys: pytest.CaptureFixture[str]) -> None:
    code, last, errors = told(capsys, lane("make", "fail", "test"))
    assert (code, last) == (1, "matrix: 1 passed, 2 failed")
    assert "sid: fail: Failed: the command said this" in errors


def test_what_debian_lacks_is_told_and_fails_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    absent = lane("lack", "test")
    run_lane(absent, [])
    steps = [*absent, *lane("make", place="trixie")]
    run_lane(steps[2:], [])
    assert report(steps, [], 60) == 0
    out, errors = capsys.readouterr()
    assert out.endswith(
        "NOTHING WAS TRIED ON sid: debootstrap or apt failed, as told above\nmatrix: 1 passed, 0 failed\n"
    )
    assert "sid: lack: apt said this" in errors


@pytest.mark.parametrize(
    ("said", "result"),
    [
        ("dev: unpack_suite failed with exit code 100", Unavailable),
        ("1 failed, 21 passed", Failed),
    ],
)
def test_a_docker_that_sid_lacks(said: str, result: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    """What apt cannot give is no failure; what a test finds wrong is one."""

    def fails(command: list[str], **environment: str) -> str:
        assert environment == {"NEWEST_DOCKER": "1"}
        raise Failed(said)

    monkeypatch.setattr(matrix, "run", fails)
    with pytest.raises(result, match=said):
        matrix.newest_docker()
    monkeypatch.setattr(matrix, "run", lambda command, **environment: "....\n22 passed in 28.33s\n")
    assert matrix.newest_docker() == "22 passed"


def test_nothing_tried_is_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, lane("lack", "test"))[:2] == (1, "matrix: 0 passed, 0 failed")
    assert told(capsys, lane("test"), "other")[:2] == (1, "matrix: 0 passed, 0 failed")


def test_words_choose(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, [*lane("make", "test"), Step("sid", "else", bad)], "test")[:2] == (0, "matrix: 2 passed, 0 failed")


def test_an_unforeseen_error_ends_no_other_step(capsys: pytest.CaptureFixture[str]) -> None:
    def surprise() -> str:
        raise ValueError("not enough values to unpack")

    steps = [Step("sid", "one", surprise), Step("sid", "two", good)]
    code, last, errors = told(capsys, steps)
    assert (code, last) == (1, "matrix: 1 passed, 1 failed")
    assert "sid: one: ValueError: not enough values to unpack" in errors


@pytest.mark.parametrize("text", ["", "3 skipped in 1 s", "1 failed, 9 passed in 2 s", "9 passed, 1 error in 2 s"])
def test_pytest_must_have_passed(text: str) -> None:
    with pytest.raises(Failed):
        passed(f"...\n{text}\n")


def test_pytest_s_counts() -> None:
    assert passed("..s\n= 2 passed, 1 skipped in 0.1 s =\n") == "2 passed, 1 skipped"


@pytest.mark.parametrize("is_released", [True, False])
def test_a_mirror_that_cannot_be_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_released: bool) -> None:
    """It is tried again; then a released Debian is missing, and one that is not released is not to be had."""
    tried: list[list[str]] = []

    def run(command: list[str], *_: object, **__: object) -> str:
        tried.append(command)
        raise Failed("no such host")

    monkeypatch.setattr(tree, "CACHE", tmp_path / "matrix")
    monkeypatch.setattr(tree, "run", run)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(Failed if is_released else Unavailable, match="no such host"):
        Tree("sid", "http://mirror.invalid", is_released).make()
    assert ["debootstrap" in command for command in tried] == [True] * tree.ATTEMPTS
    assert not (tmp_path / "matrix/sid.recipe").exists()
