"""What is asked of a process that makes files, also when it is killed meanwhile."""

import errno
import os
from typing import Any, cast

import pytest

from dockertools_py.root.creation import Creation


def test_a_process_that_was_killed_is_gone() -> None:
    """Nobody has waited for it, so it is still listed, without most of what a process has."""
    nothing = cast(Any, None)
    pid = os.posix_spawn("/bin/true", ["true"], {})
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(OSError) as raised:
            Creation(nothing, nothing, nothing, nothing)._umask(pid)
        assert raised.value.errno == errno.ESRCH
    finally:
        os.waitpid(pid, 0)
