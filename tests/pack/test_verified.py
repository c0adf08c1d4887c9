"""Bytes that are checked while they pass."""

import hashlib
from collections.abc import Iterator
from threading import Thread

import pytest

from dockertools_py.errors import DockertoolsError
from dockertools_py.model.digest import Digest
from dockertools_py.pack.verified import measure, verified

DATA = b"hello world"
DIGEST = Digest.of(DATA)


def used(chunks: list[bytes], digest: Digest = DIGEST, size: int = len(DATA)) -> bytes:
    return b"".join(map(bytes, verified(chunks, digest, size, "blob")))


@pytest.mark.parametrize("chunks", [[DATA], [DATA[:5], b"", DATA[5:]], [DATA[i : i + 1] for i in range(len(DATA))]])
def test_right_bytes_pass_however_they_are_cut(chunks: list[bytes]) -> None:
    assert used(chunks) == DATA


def test_sha512() -> None:
    assert used([DATA], Digest("sha512", hashlib.sha512(DATA).hexdigest())) == DATA


def test_nothing_at_all() -> None:
    assert used([], Digest.of(b""), 0) == b""


def test_too_long() -> None:
    with pytest.raises(DockertoolsError, match=r"^blob: more than the 11 bytes expected$"):
        used([DATA, b"!"])


def test_too_long_is_refused_as_soon_as_it_comes() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield DATA

    stream = verified(endless(), DIGEST, len(DATA), "blob")
    assert next(stream) == DATA
    with pytest.raises(DockertoolsError, match="more than the 11 bytes"):
        next(stream)


def test_too_short() -> None:
    with pytest.raises(DockertoolsError, match=r"^blob: 10 bytes, but 11 were expected$"):
        used([DATA[:-1]])


def test_a_wrong_digest() -> None:
    wrong = Digest.of(b"hello_world")
    with pytest.raises(DockertoolsError) as caught:
        used([b"hello_world"])
    assert str(caught.value) == f"blob: {wrong}, but {DIGEST} was expected"


def test_measure() -> None:
    assert measure([DATA[:3], memoryview(DATA)[3:]]) == (DIGEST, len(DATA))


@pytest.mark.parametrize("threads", [1, 2])
def test_one_thread_or_two(threads: int) -> None:
    data = [bytes([number]) * 70_000 for number in range(20)]
    digest, size = measure(data, threads=threads)
    assert (digest, size) == (Digest.of(b"".join(data)), 1_400_000)
    assert b"".join(map(bytes, verified(data, digest, size, "blob", threads))) == b"".join(data)
    with pytest.raises(DockertoolsError, match=r"^blob: sha256:.* was expected$"):
        list(verified([*data[1:], data[0]], digest, size, "blob", threads))


def test_with_one_thread_a_chunk_may_change_at_once() -> None:
    buffer = bytearray(3)

    def chunks() -> Iterator[memoryview]:
        for piece in (b"abc", b"def", b"ghi"):
            buffer[:] = piece
            yield memoryview(buffer)

    assert measure(chunks(), threads=1)[0] == Digest.of(b"abcdefghi")


def test_an_interrupt_while_the_thread_starts_stays_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(thread: Thread) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Thread, "start", start)
    for use in (lambda: measure([DATA]), lambda: used([DATA])):
        with pytest.raises(KeyboardInterrupt):
            use()
