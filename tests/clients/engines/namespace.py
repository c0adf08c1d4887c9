"""The mount and pid namespaces in which one engine lives, and which end with the tests."""

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.clients.engines.errors import CommandError, EngineError

SETUP = Path(__file__).with_name("namespace.sh")
# The longest that a single command (a load of 150 MB on a busy machine with two cores) may take.
COMMAND_SECONDS = 180
POLL_SECONDS = 0.02


class Namespace:
    """Runs commands in namespaces of their own; see namespace.sh for what is private in there.

    Paths, pids and sockets of the commands are those of the namespace: `/run/docker.sock` of one engine is not that of
    another, which also keeps socket paths below their limit of 108 bytes.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = dict(environment)
        self._init: subprocess.Popen[bytes] | None = None

    @property
    def started(self) -> bool:
        return self._init is not None

    def start(self) -> None:
        """Make the namespaces. Raises EngineError when the kernel or the host's mounts do not allow them."""
        self._init = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--fork", "--propagation", "private", "sh", str(SETUP)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self._init.stdout
        if self._init.stdout.readline() != b"ready\n":
            _, stderr = self._init.communicate(timeout=COMMAND_SECONDS)
            self._init = None
            raise EngineError(f"no namespaces for container engines here: {stderr.decode()}")

    def seen(self, path: Path) -> Path:
        """Where this process finds a file of the namespace, whatever is mounted in there."""
        assert self._init, "the namespace is not started"
        return Path(f"/proc/{self._init.pid}/root{path}")

    def stop(self) -> None:
        """End the namespaces with all that is in them."""
        if self._init:
            self._init.communicate(timeout=COMMAND_SECONDS)
            self._init = None

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = COMMAND_SECONDS) -> str:
        """Return what a command wrote to stdout. Raises CommandError with all its output when it fails."""
        result = self.attempt(argv, stdin=stdin, timeout=timeout)
        if result.returncode:
            raise CommandError(argv, result.returncode, _text(result.stdout), _text(result.stderr))
        return _text(result.stdout)

    def attempt(
        self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = COMMAND_SECONDS
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command whose failure is no error."""
        return subprocess.run(
            self._inside(argv), input=stdin, capture_output=True, env=self.environment, timeout=timeout, check=False
        )

    def spawn(self, argv: Sequence[str], *, log: Path) -> subprocess.Popen[bytes]:
        """Start a daemon that writes stdout and stderr to `log`."""
        with self.seen(log).open("wb") as output:
            return subprocess.Popen(
                self._inside(argv), stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=self.environment
            )

    def mounts_below(self, folder: Path) -> list[str]:
        """Mount points below `folder` that engines have made and not removed."""
        # Fields of a line: device, mount point (with spaces and the like as octal numbers), type, …
        points = [line.split(" ")[1] for line in self.run(["cat", "/proc/mounts"]).splitlines()]
        return [point for point in points if Path(point).is_relative_to(folder)]

    def _inside(self, argv: Sequence[str]) -> list[str]:
        assert self._init, "the namespace is not started"
        of = f"/proc/{self._init.pid}/ns"
        return ["nsenter", f"--mount={of}/mnt", f"--pid={of}/pid_for_children", "--", *argv]


def wait_until(ready: Callable[[], bool], *, what: str, seconds: float = 60) -> None:
    """Poll until `ready()`. Raises EngineError that says `what` did not happen in time."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise EngineError(f"not within {seconds:g} s: {what}")
        time.sleep(POLL_SECONDS)


def _text(output: bytes) -> str:
    return output.decode(errors="replace")
