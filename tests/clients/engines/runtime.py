"""An OCI runtime that has containers write to files, as engines lose what a program says that ends at once."""

import shlex
from pathlib import Path

from tests.clients.engines.namespace import Namespace

# `create` and `exec` hand their own stdout and stderr on to the program in the container. An engine's shim gives pipes, and
# copies from them to named pipes which dockerd and ctr open in the background. When they learn that the program has ended
# before one of these is open, they give it up with all that is in it ("reading from a closed fifo"). On a busy machine that
# was 1 of 150 containers which printed a line and ended, with dockerd 26, and 1 of 125 with ctr 1.6.
SCRIPT = """\
#!/bin/sh
for container; do :; done
case " $* " in
*" create "* | *" exec "*) exec runc "$@" >>{folder}/"$container.stdout" 2>>{folder}/"$container.stderr" ;;
esac
exec runc "$@"
"""


class Runtime:
    """runc with a folder for the output of containers; what they write is there before they end, and stays."""

    def __init__(self, namespace: Namespace, folder: Path) -> None:
        self._namespace, self._folder = namespace, folder
        self.program = folder / "runc-to-files"

    def install(self) -> None:
        """Write the program, in the namespace."""
        self._namespace.seen(self._folder).mkdir()
        program = self._namespace.seen(self.program)
        program.write_text(SCRIPT.format(folder=shlex.quote(str(self._folder))))
        program.chmod(0o755)

    def stdout(self, container: str) -> str:
        """What a container, by its full id, has written to stdout until now."""
        return self._file(container, "stdout").read_text(errors="replace")

    def log(self, container: str) -> str:
        """All that it has written, for whoever reads why it failed: nothing if it was not made at all."""
        files = [self._file(container, stream) for stream in ("stdout", "stderr")]
        return "".join(file.read_text(errors="replace") for file in files if file.exists())

    def _file(self, container: str, stream: str) -> Path:
        return self._namespace.seen(self._folder / f"{container}.{stream}")
