"""Answers that are damaged anywhere, in their headers as in their bodies: an error that is known, or the right bytes."""

from random import Random

import pytest

from dockertools_py.errors import DockertoolsError
from tests.registry.images import AMD64, Content, image
from tests.registry.pulling import client
from tests.registry.served import Fault, Handler, Rules

CASES = 400
SNIPPETS = (
    b"\0",
    b"\r\n",
    b"{}",
    b"[]",
    b"null",
    b"-1",
    b"1e999",
    b"99999999999999999999",
    b'"',
    b"\xff",
    b"sha256:",
    b"//",
    b"..",
)
HEADERS = (
    b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nContent-Type: application/json\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n",
    b"HTTP/1.1 206 Partial\r\nContent-Length: %d\r\nContent-Range: bytes 0-1/2\r\n\r\n",
    b"HTTP/1.1 401 No\r\nContent-Length: %d\r\nWWW-Authenticate: Bearer realm=\"http://127.0.0.1:1/\",service=x\r\n\r\n",
    b"HTTP/1.1 429 Wait\r\nContent-Length: %d\r\nRetry-After: 3\r\n\r\n",
    b"HTTP/1.1 307 There\r\nContent-Length: %d\r\nLocation: /v2/team/app/manifests/1\r\n\r\n",
)  # fmt: skip


def damaged(random: Random) -> Fault:
    """The right answer, or one with other headers, with some changes anywhere."""

    def fault(handler: Handler, data: bytes) -> None:
        head = random.choice(HEADERS) % len(data)
        answer = bytearray(head + data)
        for _ in range(random.randrange(4)):
            # Half of the changes where they hurt most.
            place = random.randrange(len(head) if random.random() < 0.5 else len(answer))
            end = place + random.choice((0, 1, 1, 5, 100))
            answer[place:end] = random.choice((*SNIPPETS, random.randbytes(3), b""))
        handler.wfile.write(answer[: random.choice((len(answer), len(answer), random.randrange(len(answer) + 1)))])
        handler.close_connection = True

    return fault


def test_damaged_answers(rules: Rules, host: str) -> None:
    rules.content = Content()
    manifest = rules.content.publish(image(), "1")
    rules.content.publish_index(manifest | {"platform": AMD64})
    right = rules.content.manifest("1")
    outcomes = {"right": 0, "error": 0}
    for seed in range(CASES):
        random = Random(seed)
        rules.faults.clear()
        rules.fail(random.choice(("/manifests/latest", "/manifests/sha256", "/blobs/")), damaged(random))
        try:
            reader = client(f"http://{host}/team/app")
            lock = reader.lock()
            data = [reader.blob(layer.to_json()) for layer in lock.layers]
        except DockertoolsError as error:
            assert "\n" not in str(error), seed
            outcomes["error"] += 1
            continue
        except Exception as error:
            pytest.fail(f"seed {seed}: {error!r}")
        # What a tag leads to may be anything of one shape; what is named by a digest may not.
        if str(lock.manifest.digest) == manifest["digest"]:
            assert data == [rules.content.blobs[layer["digest"]] for layer in right["layers"]], seed
        outcomes["right"] += 1
    assert outcomes["error"] > 100 and outcomes["right"] > 20, outcomes
