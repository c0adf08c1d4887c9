"""Podman with a private store."""

import json
import re
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.clients.engines.engine import SYSTEM_PATH, Engine, Inspection, Service
from tests.clients.engines.errors import CommandError, EngineError, Refused

LOADED = re.compile(r"^Loaded image(?:\(s\))?: (\S+)$", re.MULTILINE)

# Podman asks for more open files than a confined root may have, and fails ("setrlimit RLIMIT_NOFILE") unless told not
# to; systemd and its journal are not there in containers and build farms.
SETTINGS = """\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]
netns = "none"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "{runtime}"
"""


class Podman(Engine):
    """podman with the overlay storage driver; it has no daemon."""

    programs = ("podman",)

    def __init__(self, state: Path, *, path: str = SYSTEM_PATH) -> None:
        super().__init__(state, path=path)
        self.namespace.environment["CONTAINERS_CONF"] = str(state / "containers.conf")
        self.namespace.environment["PODMAN_IGNORE_CGROUPSV1_WARNING"] = "1"

    def start(self) -> None:
        super().start()
        runtime = "runc" if shutil.which("runc", path=self.path) else "crun"
        self.namespace.seen(self.state / "containers.conf").write_text(SETTINGS.format(runtime=runtime))
        self._podman("version")

    def stop(self) -> None:
        # The overlay driver mounts its folder on itself, and does not always end that with the command.
        overlay = self.state / "root/overlay"
        if overlay in map(Path, self.namespace.mounts_below(self.state)):
            self.namespace.attempt(["umount", str(overlay)])
        super().stop()

    def load(self, archive: Path) -> list[str]:
        try:
            references = LOADED.findall(self._podman("load", "--input", str(archive)).replace(",", "\nLoaded image: "))
            for reference in references:
                self._check_diff_ids(reference)
        except CommandError as error:
            raise Refused(str(error)) from error
        if not references:
            raise Refused(f"podman load of {archive} names no image")
        return references

    def pull(self, name: str) -> str:
        self._podman("pull", "--tls-verify=false", name)
        return name

    def run(
        self, reference: str, argv: Sequence[str] = (), *, user: str | None = None, entrypoint: str | None = None
    ) -> str:
        options = [f"--user={user}"] if user else []
        options += [f"--entrypoint={json.dumps([entrypoint])}"] if entrypoint else []
        return self._podman("run", "--rm", "--network=none", *options, reference, *argv)

    @contextmanager
    def serve(self, reference: str) -> Iterator[Service]:
        name = f"service-{uuid.uuid4().hex}"
        self._podman("run", "--detach", "--network=none", f"--name={name}", reference)
        try:
            pid = self._podman("inspect", "--format={{.State.Pid}}", name).strip()
            yield Service(self.namespace, f"/proc/{pid}/ns/net", name)
        except EngineError as error:
            logs = self.namespace.attempt(self.client("logs", name))
            error.add_note(f"log of the container:\n{(logs.stdout + logs.stderr).decode(errors='replace')}")
            raise
        finally:
            self._podman("rm", "--force", "--time=0", name)

    def inspect(self, reference: str) -> Inspection:
        image = json.loads(self._podman("image", "inspect", reference))[0]
        return Inspection(
            created=image["Created"],
            architecture=image["Architecture"],
            config=image["Config"],
            diff_ids=image["RootFS"]["Layers"],
            history=image["History"] or [],
        )

    def save(self, reference: str, to: Path) -> None:
        self._podman("save", "--format=docker-archive", "--output", str(to), reference)

    def reset(self) -> None:
        self._podman("rm", "--all", "--force", "--time=0")
        self._podman("rmi", "--all", "--force")

    def _check_diff_ids(self, reference: str) -> None:
        # Podman compares the diff_ids of a docker archive with its layers, but not those of an OCI layout.
        stored = json.loads(self.namespace.seen(self.state / "root/overlay-layers/layers.json").read_text())
        wrong = set(self.inspect(reference).diff_ids) - {layer["diff-digest"] for layer in stored}
        if wrong:
            raise Refused(f"podman took {reference}, but has unpacked no layers with the diff_ids {sorted(wrong)}")

    def _podman(self, *argv: str) -> str:
        return self.namespace.run(self.client(*argv))

    def client(self, *argv: str) -> list[str]:
        """The command that has the engine do something, inside the namespace."""
        store = ["--root", str(self.state / "root"), "--runroot=/run/containers/storage", "--storage-driver=overlay"]
        return ["podman", *store, *argv]
