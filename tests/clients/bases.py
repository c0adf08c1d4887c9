"""Images that the programs of others made, kept below .cache: what our images are put on top of.

Each has the root file system of foreign.py in one layer, and a second layer that changes it. The Debian image has what
debootstrap made.
"""

import fcntl
import gzip
import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.clients import foreign
from tests.clients.available import ENGINES
from tests.clients.engines.docker import Docker
from tests.clients.engines.engine import SYSTEM_PATH
from tests.clients.engines.namespace import Namespace
from tests.clients.engines.podman import Podman
from tests.clients.foreign import BUSYBOX, CHANGE, CHANGES, CMD, ENV, HEALTH, HEALTHCHECK, LABEL, USER, root_file_system
from tests.clients.need import lack, need

CACHE = Path(__file__).parents[2] / ".cache/bases"


LIMITS = ("--ulimit=nofile=1024:1024", "--ulimit=nproc=1000:1000")
"""Debian 13's buildah wants by itself more than a root without all capabilities may have."""


class Bases:
    """Makes bases that are not there yet. `folder` is of one release and one version of this file."""

    def __init__(self) -> None:
        about = Path("/etc/os-release").read_text()
        recipe = b"".join(Path(file).read_bytes() for file in (__file__, foreign.__file__, BUSYBOX))
        self.release = next(
            line.partition("=")[2] for line in about.splitlines() if line.startswith("VERSION_CODENAME=")
        )
        self.folder = CACHE / f"{self.release}-{hashlib.sha256(recipe).hexdigest()[:16]}"
        CACHE.mkdir(parents=True, exist_ok=True)

    def get(self, name: str) -> Path:
        """The archive or layout of a base, made if need be."""
        with self._locked():
            return self._get(name)

    def _get(self, name: str) -> Path:
        path = self.folder / name
        if not path.exists():
            for other in CACHE.glob(f"{self.release}-*"):  # of an older version of this file
                if other != self.folder:
                    shutil.rmtree(other)
            self.folder.mkdir(exist_ok=True)
            with TemporaryDirectory(dir=CACHE) as scratch:
                new = Path(scratch) / name
                RECIPES[name](self, new)
                new.rename(path)
        return path

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (CACHE / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def root(self, beside: Path) -> Path:
        """The tar of the root file system as a file."""
        path = beside.with_name("root.tar")
        path.write_bytes(root_file_system())
        return path

    def debian(self) -> Path:
        """The tar of a small Debian of this release, which outlives changes of this file."""
        path = CACHE / f"debootstrap-{self.release}.tar"
        if not path.exists():
            need("debootstrap", "apt-get", "tar")
            with TemporaryDirectory(dir=CACHE) as scratch:
                top, new = Path(scratch) / "root", Path(scratch) / "new.tar"
                _debootstrap(self.release, top)
                subprocess.run(["tar", "--numeric-owner", "--one-file-system", "-C", top, "-cf", new, "."], check=True)
                new.rename(path)
        return path

    def docker(self, to: Path, engine: str) -> None:
        """`docker import`, `run`, `commit` and `save` of one release and store."""
        with _docker(engine, to) as (docker, do):
            do("import", *_options([*CHANGES, HEALTHCHECK]), str(self.root(to)), "foreign:0")
            do("run", "--name=changed", "--network=none", "foreign:0", "/bin/sh", "-c", CHANGE)
            do("commit", *_options([CHANGES[-1], USER]), "changed", "foreign:1")
            docker.save("foreign:1", to)

    def debian_docker(self, to: Path, engine: str) -> None:
        """A Debian put in by `docker import`, as it comes out."""
        tar = self.debian()
        with _docker(engine, to) as (docker, do):
            do("import", *_options([f"ENV PATH={SYSTEM_PATH} WHO=debian", 'CMD ["/bin/bash"]']), str(tar), "debian:1")
            docker.save("debian:1", to)

    def podman(self, to: Path, form: str) -> None:
        """`podman import`, `run`, `commit` and `save`."""
        need(*Podman.programs)
        engine = Podman(to.with_name("state"))
        try:
            engine.start()
            do = lambda *argv: engine.namespace.run(engine.client(*argv))  # noqa: E731
            do("import", *_options(CHANGES), str(self.root(to)), "localhost/foreign:0")
            do("run", "--name=changed", "--network=none", "localhost/foreign:0", "/bin/sh", "-c", CHANGE)
            do("commit", "--format=docker", *_options([CHANGES[-1], USER]), "changed", "localhost/foreign:1")
            do("save", f"--format={form}", f"--output={to}", "localhost/foreign:1")
        finally:
            engine.stop()

    def buildah(self, to: Path, transport: str) -> None:
        """Two commits of buildah, the second to a file or a layout."""
        with _tools("buildah", beside=to) as do:
            buildah = partial(do, "buildah", "--root=/run/storage", "--runroot=/run/run", "--storage-driver=vfs")
            first = buildah("from", "scratch").strip()
            buildah("add", first, str(self.root(to)), "/")
            health = ["--healthcheck-interval=7s", f"--healthcheck={HEALTH[0]} {HEALTH[1]}"]
            config = [f"--env={ENV}", f"--label={LABEL}=yes", "--workingdir=/home/alice", f"--cmd={json.dumps(CMD)}"]
            buildah("config", *config, *health, first)
            buildah("commit", "--format=docker", first, "localhost/foreign:0")
            second = buildah("from", "--pull-never", *LIMITS, "localhost/foreign:0").strip()
            buildah("run", "--isolation=chroot", second, "/bin/sh", "-c", CHANGE)
            buildah("config", "--user=1000:1000", second)
            form = "oci" if transport == "oci" else "docker"
            buildah("commit", f"--format={form}", second, f"{transport}:{to}:localhost/foreign:1")

    def umoci(self, to: Path) -> None:
        """A layout of umoci's own, repacked twice."""
        image = f"{to}:foreign"
        with _tools("umoci", "tar", beside=to) as do:
            do("umoci", "init", "--layout", str(to))
            do("umoci", "new", "--image", image)
            for number, script in enumerate(
                [f"tar -xpf {self.root(to)} -C root", CHANGE.replace(" /opt", " root/opt")]
            ):
                bundle = to.with_name(f"bundle-{number}")
                do("umoci", "unpack", "--image", image, str(bundle))
                do("sh", "-c", f"cd {bundle} && ln -s rootfs root && {script}")
                do("umoci", "repack", "--image", image, str(bundle))
            options = [f"--config.env={ENV}", f"--config.label={LABEL}=yes", "--config.workingdir=/home/alice"]
            options += [f"--config.cmd={word}" for word in CMD]
            do("umoci", "config", "--image", image, *options, "--config.user=1000:1000")
            do("umoci", "gc", "--layout", str(to))

    def skopeo(self, to: Path, transport: str, compression: str = "gzip", original: str = "docker.tar") -> None:
        """A copy of what docker saved."""
        source = self._get(original)
        with _tools("skopeo", beside=to) as do:
            options = ["--insecure-policy", "copy", f"--dest-compress-format={compression}"]
            do("skopeo", *options, f"docker-archive:{source}", f"{transport}:{to}:foreign:1")

    def gzip(self, to: Path) -> None:
        """What docker saved, as people send it."""
        to.write_bytes(gzip.compress(self._get("docker.tar").read_bytes()))


def _options(changes: list[str]) -> list[str]:
    return [f"--change={change}" for change in changes]


@contextmanager
def _docker(name: str, beside: Path) -> Iterator[tuple[Docker, Callable[..., str]]]:
    engine = ENGINES[name](beside.with_name("state"))
    assert isinstance(engine, Docker)
    need("unshare", "nsenter")
    need(*engine.programs, path=engine.path)
    try:
        engine.start()
        yield engine, lambda *argv: engine.namespace.run(engine.client(*argv))
    finally:
        engine.stop()


@contextmanager
def _tools(*programs: str, beside: Path) -> Iterator[Callable[..., str]]:
    """Programs without a daemon, in a namespace where their fixed folders are private."""
    need("unshare", "nsenter", *programs)
    namespace = Namespace({"PATH": SYSTEM_PATH, "HOME": str(beside.parent), "LC_ALL": "C.UTF-8"})
    namespace.start()
    try:
        yield lambda *argv: namespace.run(argv)
    finally:
        namespace.stop()


def _debootstrap(release: str, top: Path) -> None:
    # From the mirror that apt uses, which need not be the public one.
    query = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", f"Codename: {release}"]
    found = subprocess.run([*query, "Origin: Debian"], capture_output=True, text=True, check=True).stdout.split()
    if not found:
        lack(f"apt has no list of Debian {release}: apt-get update")
    command = ["debootstrap", "--variant=minbase", release, str(top), found[0]]
    # What it mounts ends with it.
    done = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "--propagation=private", *command],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": SYSTEM_PATH, "LC_ALL": "C.UTF-8"},
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    for folder in ("var/cache/apt/archives", "var/lib/apt/lists"):
        for file in (top / folder).glob("*_*"):
            file.unlink()


DOCKERS = [name for name in ENGINES if name.startswith("docker")]
SMALL: dict[str, Callable[[Bases, Path], None]] = {
    **{f"{name}.tar": partial(Bases.docker, engine=name) for name in DOCKERS},
    "podman-docker-archive.tar": partial(Bases.podman, form="docker-archive"),
    "podman-oci-archive.tar": partial(Bases.podman, form="oci-archive"),
    "podman-oci-dir": partial(Bases.podman, form="oci-dir"),
    "buildah-oci": partial(Bases.buildah, transport="oci"),
    "buildah-docker-archive.tar": partial(Bases.buildah, transport="docker-archive"),
    "skopeo-docker-archive.tar": partial(Bases.skopeo, transport="docker-archive"),
    "skopeo-oci": partial(Bases.skopeo, transport="oci"),
    "skopeo-oci-archive.tar": partial(Bases.skopeo, transport="oci-archive"),
    "skopeo-oci-zstd": partial(Bases.skopeo, transport="oci", compression="zstd"),
    "umoci": Bases.umoci,
    "docker.tar.gz": Bases.gzip,
}
DEBIAN, DEBIAN_OCI = "debian.tar", "debian-oci-zstd"
RECIPES = {
    **SMALL,
    DEBIAN: partial(Bases.debian_docker, engine="docker"),
    DEBIAN_OCI: partial(Bases.skopeo, transport="oci", compression="zstd", original=DEBIAN),
}
