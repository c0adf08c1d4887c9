"""Docker: a private dockerd with one of its two image stores."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.clients.engines.daemon import Daemon
from tests.clients.engines.engine import SYSTEM_PATH, Engine, Inspection, Service
from tests.clients.engines.errors import CommandError, EngineError, Refused
from tests.clients.engines.runtime import Runtime

LOADED = re.compile(r"^Loaded image(?: ID)?: (\S+)$", re.MULTILINE)
RUNTIME = "to-files"


class Docker(Engine):
    """dockerd found on `path`, with the overlay2 graph driver, or from release 26 on with containerd's image store."""

    programs = ("dockerd", "docker", "runc")

    def __init__(self, state: Path, *, path: str = SYSTEM_PATH, containerd_store: bool = False) -> None:
        super().__init__(state, path=path)
        self.containerd_store = containerd_store
        self._daemon = Daemon(self.namespace, state / "dockerd.log")
        self._runtime = Runtime(self.namespace, state / "output")

    def start(self) -> None:
        super().start()
        self._runtime.install()
        settings = self.state / "daemon.json"
        self.namespace.seen(settings).write_text(
            json.dumps(
                {
                    "features": {"containerd-snapshotter": self.containerd_store},
                    "runtimes": {RUNTIME: {"path": str(self._runtime.program)}},
                }
            )
        )
        # No bridge and no packet filter: the tests need neither, and both would change the host.
        argv = ["dockerd", f"--data-root={self.state / 'data'}", "--host=unix:///run/docker.sock"]
        argv += ["--iptables=false", "--ip6tables=false", "--bridge=none", f"--config-file={settings}"]
        if not self.containerd_store:
            argv.append("--storage-driver=overlay2")
        self._daemon.start(argv, answers=lambda: self._attempt("version").returncode == 0)

        # A release before 26 says nothing about a feature that it does not know.
        status = self._docker("info", "--format={{json .DriverStatus}}")
        if ("io.containerd.snapshotter.v1" in status) != self.containerd_store:
            raise EngineError(f"dockerd has another image store than asked for: {status}")

    def stop(self) -> None:
        self._daemon.stop()
        super().stop()

    def load(self, archive: Path) -> list[str]:
        # With containerd's store, dockerd 28 says "Error unpacking image" and still ends with 0.
        result = self._attempt("load", "--input", str(archive))
        output = (result.stdout + result.stderr).decode(errors="replace")
        references = LOADED.findall(output)
        if result.returncode or not references or "rror unpacking" in output:
            raise Refused(f"docker load of {archive}: exit code {result.returncode}\n{output}")
        try:
            for reference in references:
                self.inspect(reference)
        except CommandError as error:
            raise Refused(f"docker load of {archive} says that it worked, but: {error}") from error
        return references

    def pull(self, name: str) -> str:
        self._docker("pull", name)
        return name

    def run(
        self, reference: str, argv: Sequence[str] = (), *, user: str | None = None, entrypoint: str | None = None
    ) -> str:
        options = [f"--user={user}"] if user else []
        options += [f"--entrypoint={entrypoint}"] if entrypoint else []
        name = self._start(*options, reference, *argv)
        try:
            code = int(self._docker("wait", name))
        finally:
            self._docker("rm", "--force", name)
        if code:
            raise CommandError([reference, *argv], code, "", self._runtime.log(name))
        return self._runtime.stdout(name)

    def _start(self, *argv: str) -> str:
        """Start a container, and return its id."""
        return self._docker("run", "--detach", "--network=none", f"--runtime={RUNTIME}", *argv).strip()

    @contextmanager
    def serve(self, reference: str) -> Iterator[Service]:
        name = self._start(reference)
        try:
            pid = self._docker("inspect", "--format={{.State.Pid}}", name).strip()
            yield Service(self.namespace, f"/proc/{pid}/ns/net", name)
        except EngineError as error:
            error.add_note(f"log of the container:\n{self._runtime.log(name)}")
            raise
        finally:
            self._docker("rm", "--force", name)

    def inspect(self, reference: str) -> Inspection:
        image = json.loads(self._docker("image", "inspect", reference))[0]
        lines = self._docker("history", "--no-trunc", "--format={{json .}}", reference).splitlines()
        history: list[dict[str, Any]] = [{"created_by": json.loads(line)["CreatedBy"]} for line in reversed(lines)]
        return Inspection(
            created=image["Created"],
            architecture=image["Architecture"],
            config=image["Config"],
            diff_ids=image["RootFS"]["Layers"],
            history=history,
        )

    def save(self, reference: str, to: Path) -> None:
        self._docker("save", "--output", str(to), reference)

    def reset(self) -> None:
        containers = self._docker("ps", "--all", "--quiet").split()
        if containers:
            self._docker("rm", "--force", *containers)
        self._docker("image", "prune", "--all", "--force")
        left = self._docker("images", "--all", "--quiet").split()
        if left:
            raise EngineError(f"docker keeps images: {left}")

    def _docker(self, *argv: str) -> str:
        return self.namespace.run(self.client(*argv))

    def _attempt(self, *argv: str) -> subprocess.CompletedProcess[bytes]:
        return self.namespace.attempt(self.client(*argv))

    def client(self, *argv: str) -> list[str]:
        """The command that has the engine do something, inside the namespace."""
        # The client of the daemon's own release: a newer one may be first on the path, and not know an old daemon.
        daemon = shutil.which("dockerd", path=self.path)
        assert daemon, "the fixture has seen to it that dockerd is there"
        sibling = Path(daemon).resolve().parents[1] / "bin/docker"
        client = str(sibling) if sibling.exists() else "docker"
        return [client, "--host=unix:///run/docker.sock", *argv]
