"""containerd, driven by its own client ctr."""

import json
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.clients.engines.daemon import Daemon
from tests.clients.engines.engine import SYSTEM_PATH, Engine, Inspection, Service
from tests.clients.engines.errors import CommandError, EngineError, Refused
from tests.clients.engines.network import loopback
from tests.clients.engines.runtime import Runtime

SETTINGS = """\
version = 2
root = "{root}"
state = "/run/containerd"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
"""

# A static program, bound into a container to keep it alive.
IDLER = Path("/bin/busybox")
IDLER_INSIDE = "/.idler/busybox"


class Containerd(Engine):
    """A private containerd with the overlayfs snapshotter."""

    programs = ("containerd", "ctr", "containerd-shim-runc-v2", "runc", "busybox")

    def __init__(self, state: Path, *, path: str = SYSTEM_PATH) -> None:
        super().__init__(state, path=path)
        self._daemon = Daemon(self.namespace, state / "containerd.log")
        self._runtime = Runtime(self.namespace, state / "output")
        self._to_files = f"--runc-binary={self._runtime.program}"

    def start(self) -> None:
        super().start()
        self._runtime.install()
        settings = self.state / "config.toml"
        self.namespace.seen(settings).write_text(SETTINGS.format(root=self.state / "root"))
        version = ["ctr", "--connect-timeout=1s", "version"]
        self._daemon.start(
            ["containerd", f"--config={settings}"], answers=lambda: self.namespace.attempt(version).returncode == 0
        )

    def stop(self) -> None:
        self._daemon.stop()
        super().stop()

    def load(self, archive: Path) -> list[str]:
        before = self._targets()
        try:
            self._ctr("images", "import", str(archive))
            references = sorted(dict(self._targets().items() - before.items()))
            for reference in references:
                self.inspect(reference)
                # Complete: every blob is there. Unpacked: so is the root file system.
                check = self._ctr("images", "check", f"name=={reference}").splitlines()[1:]
                if len(check) != 1 or " complete " not in check[0] or not check[0].rstrip().endswith("true"):
                    raise Refused(f"ctr images check after the import of {archive}: {check}")
        except CommandError as error:
            raise Refused(str(error)) from error
        if not references:
            raise Refused(f"ctr images import of {archive} made no new name")
        return references

    def pull(self, name: str) -> str:
        self._ctr("images", "pull", "--plain-http", name)
        return name

    def run(
        self, reference: str, argv: Sequence[str] = (), *, user: str | None = None, entrypoint: str | None = None
    ) -> str:
        if entrypoint:
            raise NotImplementedError("ctr cannot replace an entrypoint")
        name = f"run-{uuid.uuid4().hex}"
        if user:
            self._run_as(name, reference, argv, user)
        else:
            self._in_container(name, "run", "--rm", self._to_files, reference, name, *argv)
        return self._runtime.stdout(name)

    def _run_as(self, name: str, reference: str, argv: Sequence[str], user: str) -> None:
        # `ctr run --user` came with containerd 1.7; `ctr tasks exec --user` is older, but wants a container that runs.
        config = self.inspect(reference).config
        command = [*(config.get("Entrypoint") or []), *(argv or config.get("Cmd") or [])]
        mount = f"--mount=type=bind,src={IDLER.resolve()},dst={IDLER_INSIDE},options=bind:ro"
        self._ctr("run", "--detach", mount, self._to_files, reference, name, IDLER_INSIDE, "sleep", "600")
        try:
            self._in_container(name, "tasks", "exec", "--exec-id=1", f"--user={user}", name, *command)
        finally:
            self._remove(name)

    @contextmanager
    def serve(self, reference: str) -> Iterator[Service]:
        name = f"service-{uuid.uuid4().hex}"
        with loopback(self.namespace) as network:
            self._ctr("run", "--detach", self._to_files, f"--with-ns=network:{network}", reference, name)
            try:
                yield Service(self.namespace, network, name)
            except EngineError as error:
                error.add_note(f"log of the container:\n{self._runtime.log(name)}")
                raise
            finally:
                self._remove(name)

    def inspect(self, reference: str) -> Inspection:
        config = self._blob(self._manifest(reference)["config"]["digest"])
        return Inspection(
            created=config["created"],
            architecture=config["architecture"],
            config=config.get("config") or {},
            diff_ids=config["rootfs"]["diff_ids"],
            history=config.get("history") or [],
        )

    def save(self, reference: str, to: Path) -> None:
        self._ctr("images", "export", str(to), reference)

    def reset(self) -> None:
        containers = self._ctr("containers", "ls", "--quiet").split()
        if containers:
            self._ctr("containers", "rm", *containers)
        targets = self._targets()
        if targets:
            self._ctr("images", "rm", *targets)
        # What an import has read is held by a lease, for a day if it failed (containerd 2). --sync waits for the garbage
        # collector, which removes blobs and snapshots that nothing holds: hence a lease to remove, if there is no other.
        self._ctr("leases", "create")
        for lease in self._ctr("leases", "ls", "--quiet").split():
            self._ctr("leases", "rm", "--sync", lease)
        left = self._ctr("content", "ls", "--quiet").split()
        if left:
            raise EngineError(f"containerd keeps blobs: {left}")

    def _in_container(self, container: str, *argv: str) -> None:
        """Run a program to its end; an error has what it said."""
        try:
            self._ctr(*argv)
        except CommandError as error:
            error.add_note(self._runtime.log(container))
            raise

    def _remove(self, container: str) -> None:
        self._ctr("tasks", "rm", "--force", container)
        self._ctr("containers", "rm", container)

    def _targets(self) -> dict[str, str]:
        """Names of the images, and the digests they stand for."""
        rows = [line.split() for line in self._ctr("images", "ls").splitlines()[1:]]
        return {row[0]: row[2] for row in rows}

    def _manifest(self, reference: str) -> dict[str, Any]:
        document = self._blob(self._targets()[reference])
        # An index lists one manifest a platform; ours hold one.
        return document if "config" in document else self._blob(document["manifests"][0]["digest"])

    def _blob(self, digest: str) -> dict[str, Any]:
        blob: dict[str, Any] = json.loads(self._ctr("content", "get", digest))
        return blob

    def _ctr(self, *argv: str) -> str:
        return self.namespace.run(["ctr", *argv])
