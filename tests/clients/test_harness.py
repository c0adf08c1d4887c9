"""The harness can fail: engines that take a bad archive, or still know an image, would prove nothing later."""

from pathlib import Path

import pytest

from tests.clients.available import engine_parameters
from tests.clients.engines.engine import Engine, familiar
from tests.clients.engines.errors import CommandError, EngineError, Refused
from tests.clients.handmade import BUSYBOX, CREATED, HandmadeImage
from tests.clients.need import need

pytestmark = pytest.mark.parametrize("engine", engine_parameters(), indirect=True)


@pytest.fixture
def image() -> HandmadeImage:
    need(BUSYBOX.name)
    return HandmadeImage()


def test_loads_runs_and_describes(empty_engine: Engine, image: HandmadeImage, tmp_path: Path) -> None:
    [reference] = empty_engine.load(image.write(tmp_path / "a.tar"))
    assert empty_engine.run(reference) == image.salt(1).decode()
    assert empty_engine.run(reference, ["/bin/busybox", "id", "-u"], user="1000:1000") == "1000\n"
    description = empty_engine.inspect(reference)
    assert description.created == CREATED
    assert description.architecture == "amd64"
    assert description.config["Cmd"] == image.config["Cmd"]
    assert description.diff_ids == image.diff_ids
    assert [step["created_by"] for step in description.history] == ["layer 0", "layer 1"]


def test_serves(empty_engine: Engine, image: HandmadeImage, tmp_path: Path) -> None:
    image.config = {"Cmd": ["/bin/busybox", "nc", "-l", "-p", "7", "-e", "/bin/busybox", "cat", "/salt-1"]}
    [reference] = empty_engine.load(image.write(tmp_path / "a.tar"))
    with empty_engine.serve(reference) as service:
        assert service.ask(7, b"") == image.salt(1).decode()


def test_says_that_a_service_is_not_there(empty_engine: Engine, image: HandmadeImage, tmp_path: Path) -> None:
    image.config = {"Cmd": ["/bin/busybox", "sleep", "60"]}
    [reference] = empty_engine.load(image.write(tmp_path / "a.tar"))
    with pytest.raises(EngineError, match="ConnectionRefused"), empty_engine.serve(reference) as service:
        service.ask(7, b"", seconds=0.2)


def test_says_that_a_program_fails(empty_engine: Engine, image: HandmadeImage, tmp_path: Path) -> None:
    [reference] = empty_engine.load(image.write(tmp_path / "a.tar"))
    with pytest.raises(CommandError) as raised:
        empty_engine.run(reference, ["/bin/busybox", "sh", "-c", "echo the reason >&2; exit 7"])
    assert raised.value.code == 7
    assert "the reason" in "\n".join([str(raised.value), *getattr(raised.value, "__notes__", ())])


def test_says_nothing_of_a_program_that_does(empty_engine: Engine, image: HandmadeImage, tmp_path: Path) -> None:
    [reference] = empty_engine.load(image.write(tmp_path / "a.tar"))
    assert empty_engine.run(reference, ["/bin/busybox", "true"]) == ""


@pytest.mark.parametrize("number", [0, 1])
def test_refuses_a_layer_with_another_digest(
    empty_engine: Engine, image: HandmadeImage, number: int, tmp_path: Path
) -> None:
    archive = image.variant(falsify=frozenset({number})).write(tmp_path / "a.tar")
    with pytest.raises(Refused):
        empty_engine.load(archive)


def test_refuses_a_wrong_diff_id(empty_engine: Engine, image: HandmadeImage, tmp_path: Path) -> None:
    archive = image.variant(wrong_diff_id=True).write(tmp_path / "a.tar")
    with pytest.raises(Refused):
        empty_engine.load(archive)


def test_forgets_layers(engine: Engine, image: HandmadeImage, tmp_path: Path) -> None:
    engine.load(image.write(tmp_path / "a.tar"))
    engine.reset()
    without_layer = image.variant(omit=frozenset(image.diff_ids[:1])).write(tmp_path / "b.tar")
    with pytest.raises(Refused):
        engine.load(without_layer)


def test_saves(empty_engine: Engine, image: HandmadeImage, tmp_path: Path) -> None:
    [reference] = empty_engine.load(image.write(tmp_path / "a.tar"))
    assert familiar(reference) == image.reference
    empty_engine.save(reference, tmp_path / "saved.tar")
    empty_engine.reset()
    [again] = empty_engine.load(tmp_path / "saved.tar")
    assert empty_engine.run(again) == image.salt(1).decode()
