"""Code run as a user with no rights at all, in a process of its own: what a build user may do, and no more."""

import ctypes
import os
import pickle
import shutil
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")

NOBODY = 65534
_PR_SET_DUMPABLE = 4


def as_nobody(function: Callable[[], Result]) -> Result:
    """What `function` returns in a child process of the user nobody."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.close(reader)
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            # Whoever was root owns not even his own files in /proc; a program that is started anew does.
            ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1)
            answer: tuple[object, str] = (function(), "")
        except BaseException:  # whatever it is, the parent has to tell it
            answer = (None, traceback.format_exc())
        with os.fdopen(writer, "wb") as out:
            pickle.dump(answer, out)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        result, failure = pickle.loads(file.read())
    os.waitpid(child, 0)
    assert not failure, failure
    return result  # type: ignore[no-any-return]


@contextmanager
def folder_of_nobody() -> Iterator[Path]:
    """A folder that is nobody's: those of pytest let nobody but root in."""
    folder = Path(tempfile.mkdtemp(prefix="nobody."))
    os.chown(folder, NOBODY, NOBODY)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
