"""Blobs in the making: read while they grow, from anywhere, and nothing is left behind when a process dies."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random

import pytest

from dockertools_py.errors import DockertoolsError
from dockertools_py.model.digest import Digest
from dockertools_py.registry.spool import Spool, spooled
from dockertools_py.registry.together import together
from tests.conftest import CHECKOUT


def pieces(seed: int, size: int) -> Iterator[bytes]:
    random = Random(seed)
    while size:
        count = min(size, random.randrange(1, 300_000))
        yield random.randbytes(count)
        size -= count


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_all_of_it_whoever_makes_it(workers: int) -> None:
    sizes = [0, 1, 3_000_000, 10, 700_000]
    expected = [b"".join(pieces(seed, size)) for seed, size in enumerate(sizes)]
    with spooled([partial(pieces, seed, size) for seed, size in enumerate(sizes)], workers) as spools:
        read = together([lambda spool=spool: b"".join(spool.chunks(0, None)) for spool in spools])
        assert read == expected
        assert [spool.digest() for spool in spools] == [Digest.of(data) for data in expected]
        assert [spool.size() for spool in spools] == sizes
        assert b"".join(spools[2].chunks(1_000_000, 2_000_000)) == expected[2][1_000_000:2_000_000]
        assert list(spools[2].chunks(3_000_000, None)) == []
    # It can still be read when the workers are gone.
    assert b"".join(spools[4].chunks(5, None)) == expected[4][5:]


def test_none_at_all() -> None:
    with spooled([], 2) as spools:
        assert spools == []


def fails(error: BaseException) -> Iterator[bytes]:
    yield b"some"
    raise error


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (DockertoolsError("not the bytes"), DockertoolsError, "^not the bytes$"),
        (OSError(28, "No space left on device", "/x"), OSError, "No space left on device: '/x'"),
        (OSError(28, "No space left on device"), OSError, f"No space left on device: '{tempfile.gettempdir()}'"),
        (ValueError("a bug"), RuntimeError, r"(?s)Traceback.*ValueError: a bug"),
    ],
)
def test_what_goes_wrong_in_a_worker_is_raised_here(error: Exception, kind: type[Exception], text: str) -> None:
    with spooled([partial(fails, error), partial(pieces, 1, 1000)], 2) as (broken, whole):
        with pytest.raises(kind, match=text):
            list(broken.chunks(0, None))
        with pytest.raises(kind, match=text):
            broken.digest()
        assert len(b"".join(whole.chunks(0, None))) == 1000


def test_a_worker_that_is_killed() -> None:
    def killed() -> Iterator[bytes]:
        yield bytes(2 << 20)
        os.kill(os.getpid(), signal.SIGKILL)
        yield b"never"

    with spooled([killed, partial(pieces, 1, 1000)], 1) as (spool, next_one):
        for waiting in (spool, next_one):
            with pytest.raises(RuntimeError, match="has ended early"):
                list(waiting.chunks(0, None))


def endless(note: Path) -> Iterator[bytes]:
    note.write_text(str(os.getpid()))
    while True:
        yield bytes(1 << 16)
        time.sleep(0.001)


def is_gone(pid: int) -> bool:
    for _ in range(6000):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.01)
    return False


def test_workers_end_with_whoever_wanted_them(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    with pytest.raises(KeyError), spooled([partial(endless, note)], 1) as (spool,):
        next(iter(spool.chunks(0, None)))
        raise KeyError
    assert is_gone(int(note.read_text()))


PROGRAM = """
import sys; from functools import partial; from pathlib import Path
from dockertools_py.registry.spool import spooled
from tests.registry.test_spool import endless
with spooled([partial(endless, Path(sys.argv[1])), partial(endless, Path(sys.argv[2]))], 2) as spools:
    for spool in spools: next(iter(spool.chunks(0, None)))
    print("going", flush=True)
    list(spools[0].chunks(0, None))
"""


def test_nothing_is_left_by_a_process_that_is_killed(tmp_path: Path) -> None:
    notes = [tmp_path / "one", tmp_path / "two"]
    (tmp_path / "tmp").mkdir()
    command = [sys.executable, "-c", PROGRAM, *map(str, notes)]
    env = os.environ | {"TMPDIR": str(tmp_path / "tmp")}
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, env=env) as process:
        assert process.stdout and process.stdout.readline() == b"going\n"
        process.kill()
    assert all(is_gone(int(note.read_text())) for note in notes)
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_spool_that_fails_wakes_those_who_wait() -> None:
    spool = Spool()
    threading.Timer(0.01, spool.fail, [DockertoolsError("gone")]).start()
    with pytest.raises(DockertoolsError, match=r"^gone$"):
        spool.available(1)
    assert not spool.is_open()
