"""No daemon at all: skopeo copies to an OCI layout, umoci unpacks that, and an OCI runtime runs the bundle."""

import json
import shutil
import tarfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.clients.engines.engine import SYSTEM_PATH, Engine, Inspection, Service, familiar
from tests.clients.engines.errors import CommandError, EngineError, Refused
from tests.clients.engines.namespace import COMMAND_SECONDS
from tests.clients.engines.network import loopback

# What other engines give to containers; umoci's own choice is too little for a service that changes its user.
CAPABILITIES = [
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
]


class Layout(Engine):
    """skopeo, umoci and `runtime` (crun or runc); skopeo reads archives by `transport`: docker-archive or oci-archive.

    Every reference has a layout of its own. The file systems have the owners that umoci gave them.
    """

    saves_config_as_loaded = False

    def __init__(
        self, state: Path, *, path: str = SYSTEM_PATH, transport: str = "docker-archive", runtime: str = "crun"
    ) -> None:
        super().__init__(state, path=path)
        self.transport = transport
        self.runtime = runtime
        self.programs = ("skopeo", "umoci", runtime)

    def load(self, archive: Path) -> list[str]:
        try:
            sources = self._sources(archive)
            for reference, source in sources.items():
                self._skopeo("copy", source, self._layout(reference))
                # skopeo compares no diff_id of what it copies from a layout; umoci compares all when it unpacks.
                self._bundle(reference)
        except CommandError as error:
            raise Refused(str(error)) from error
        if not sources:
            raise Refused(f"skopeo finds no image in {archive}")
        return list(sources)

    def load_layout(self, layout: Path) -> str:
        """Copy an OCI layout folder that holds one image, and return its reference."""
        reference = f"layout-{uuid.uuid4().hex}:copied"
        try:
            self._skopeo("copy", f"oci:{layout}", self._layout(reference))
            self._bundle(reference)
        except CommandError as error:
            raise Refused(str(error)) from error
        return reference

    def pull(self, name: str) -> str:
        reference = f"pulled-{uuid.uuid4().hex}:{name.rpartition(':')[2]}"
        self._skopeo("copy", "--src-tls-verify=false", f"docker://{name}", self._layout(reference))
        self._bundle(reference)
        return reference

    def run(
        self, reference: str, argv: Sequence[str] = (), *, user: str | None = None, entrypoint: str | None = None
    ) -> str:
        name = f"run-{uuid.uuid4().hex}"
        self._configure(reference, argv, user=user, entrypoint=entrypoint)
        return self._run("run", f"--bundle={self._bundle(reference)}", name)

    @contextmanager
    def serve(self, reference: str) -> Iterator[Service]:
        name = f"service-{uuid.uuid4().hex}"
        log = self.state / f"{name}.log"
        with loopback(self.namespace) as network:
            self._configure(reference, (), network=network)
            bundle = f"--bundle={self._bundle(reference)}"
            process = self.namespace.spawn([self.runtime, "run", bundle, name], log=log)
            try:
                yield Service(self.namespace, network, name)
            except EngineError as error:
                output = self.namespace.seen(log).read_text(errors="replace")
                error.add_note(f"log of the container:\n{output}")
                raise
            finally:
                # A service that has ended by itself is gone already: `ask` has told.
                self.namespace.attempt([self.runtime, "kill", name, "KILL"])
                process.wait(timeout=COMMAND_SECONDS)

    def inspect(self, reference: str) -> Inspection:
        config = json.loads(self._skopeo("inspect", "--config", "--raw", self._layout(reference)))
        return Inspection(
            created=config["created"],
            architecture=config["architecture"],
            config=config.get("config") or {},
            diff_ids=config["rootfs"]["diff_ids"],
            history=config.get("history") or [],
        )

    def save(self, reference: str, to: Path) -> None:
        self._skopeo("copy", self._layout(reference), f"{self.transport}:{to}:{reference}")

    def reset(self) -> None:
        self.namespace.run(["rm", "-rf", str(self.state / "layouts"), str(self.state / "bundles")])

    def _sources(self, archive: Path) -> dict[str, str]:
        """References in an archive, and skopeo's names for these images."""
        if self.transport == "docker-archive":
            tags = json.loads(self._skopeo("list-tags", f"docker-archive:{archive}"))["Tags"]
            return {familiar(tag): f"docker-archive:{archive}:{tag}" for tag in tags or []}
        # skopeo lists nothing of these. Their index has full names, or what `save` above has given as a tag.
        with tarfile.open(archive) as tar:
            index = tar.extractfile("index.json")
            assert index
            [annotations] = [manifest["annotations"] for manifest in json.load(index)["manifests"]]
        tag = annotations["org.opencontainers.image.ref.name"]
        return {familiar(annotations.get("io.containerd.image.name", tag)): f"oci-archive:{archive}:{tag}"}

    def _layout(self, reference: str) -> str:
        return f"oci:{self._layout_folder(reference)}:image"

    def _layout_folder(self, reference: str) -> Path:
        return self._folder("layouts", reference)

    def _bundle(self, reference: str) -> Path:
        bundle = self._folder("bundles", reference)
        if not self.namespace.seen(bundle).exists():
            self.namespace.run(["umoci", "unpack", "--image", f"{self._layout_folder(reference)}:image", str(bundle)])
            seen = self.namespace.seen(bundle)
            shutil.copy(seen / "config.json", seen / "config.as-unpacked.json")
        return bundle

    def _folder(self, kind: str, reference: str) -> Path:
        parent = self.state / kind
        self.namespace.seen(parent).mkdir(exist_ok=True)
        return parent / reference.replace("/", "_").replace(":", "_")

    def _configure(
        self,
        reference: str,
        argv: Sequence[str],
        *,
        user: str | None = None,
        entrypoint: str | None = None,
        network: str | None = None,
    ) -> None:
        """Write the bundle's config.json for one run."""
        bundle = self.namespace.seen(self._bundle(reference))
        spec: dict[str, Any] = json.loads((bundle / "config.as-unpacked.json").read_text())
        image = self.inspect(reference).config
        command = list(argv) or image.get("Cmd") or []
        process = spec["process"]
        process["args"] = [entrypoint, *argv] if entrypoint else [*(image.get("Entrypoint") or []), *command]
        process["terminal"] = False
        # A confined root may not raise limits.
        process["rlimits"] = []
        process["capabilities"] = dict.fromkeys(("bounding", "effective", "permitted"), CAPABILITIES)
        if user:
            uid, _, gid = user.partition(":")
            process["user"] = {"uid": int(uid), "gid": int(gid or 0)}
            process["capabilities"] = {"bounding": CAPABILITIES}
        if network:
            for namespace in spec["linux"]["namespaces"]:
                if namespace["type"] == "network":
                    namespace["path"] = network
        (bundle / "config.json").write_text(json.dumps(spec))

    def _run(self, *argv: str) -> str:
        return self.namespace.run([self.runtime, *argv])

    def _skopeo(self, *argv: str) -> str:
        # The policy of the host says which signatures it wants; the tests' images have none.
        return self.namespace.run(["skopeo", "--insecure-policy", *argv])
