"""A daemon in a namespace."""

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.clients.engines.errors import EngineError
from tests.clients.engines.namespace import COMMAND_SECONDS, Namespace, wait_until


class Daemon:
    """Starts a daemon, whose output goes to `log`, and ends it by its pid."""

    def __init__(self, namespace: Namespace, log: Path) -> None:
        self._namespace = namespace
        self._log = log
        self._pid_file = log.with_suffix(".pid")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, argv: Sequence[str], *, answers: Callable[[], bool]) -> None:
        """Start the daemon and return when it `answers`. Raises EngineError with its log when it does not."""
        # The shell becomes the daemon: its pid inside the namespace. Popen has that of nsenter, outside.
        shell = ["sh", "-c", 'echo $$ >"$0"; exec "$@"', str(self._pid_file)]
        self._process = self._namespace.spawn([*shell, *argv], log=self._log)
        try:
            wait_until(lambda: self._has_ended() or answers(), what=f"{argv[0]} answers")
        except EngineError as error:
            error.add_note(self._output())
            raise
        if self._has_ended():
            raise EngineError(f"{argv[0]} has ended:\n{self._output()}")

    def stop(self) -> None:
        """End the daemon and wait until it has put all in order. Does nothing when it does not run."""
        if self._process and not self._has_ended():
            self._namespace.run(["kill", self._namespace.seen(self._pid_file).read_text().strip()])
            self._process.wait(timeout=COMMAND_SECONDS)

    def _output(self) -> str:
        return self._namespace.seen(self._log).read_text(errors="replace")

    def _has_ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None
