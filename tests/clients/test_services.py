"""Services answer, in every engine, with no network but the loopback device of their container."""

import pytest

from tests.clients.available import engine_parameters
from tests.clients.conftest import Loaded


@pytest.mark.parametrize(("engine", "image"), engine_parameters("redis"), indirect=True)
def test_redis_keeps_a_value(loaded: Loaded) -> None:
    with loaded.engine.serve(loaded.references[0]) as service:
        answer = service.ask(_port(loaded, 6379), b"PING\r\nSET answer 42\r\nGET answer\r\nQUIT\r\n")
    assert answer == "+PONG\r\n+OK\r\n$2\r\n42\r\n+OK\r\n"


@pytest.mark.parametrize(("engine", "image"), engine_parameters("nginx"), indirect=True)
def test_nginx_serves_a_page(loaded: Loaded) -> None:
    with loaded.engine.serve(loaded.references[0]) as service:
        answer = service.ask(_port(loaded, 80), b"GET / HTTP/1.0\r\n\r\n")
    head, _, page = answer.partition("\r\n\r\n")
    assert head.splitlines()[0] == "HTTP/1.1 200 OK"
    assert "nginx" in head
    assert "<html" in page.lower() or page.strip()


def _port(loaded: Loaded, default: int) -> int:
    """The port that the image says it listens at: `{"80/tcp": {}}`."""
    ports = loaded.archived[0].config["config"].get("ExposedPorts") or {f"{default}/tcp": {}}
    return int(next(iter(ports)).partition("/")[0])
