"""From an edit to a container that runs: `load` against an archive for `docker load`, in one run.

    python3 bench/load.py middle                      dockerd of PATH, its graph driver
    python3 bench/load.py middle --store containerd   with containerd's image store (26 and later)
    python3 bench/load.py middle --engine podman

As root, with an engine of its own whose state is in a temporary folder. Prints medians and ratios.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from verbs import CHECKOUT, nix

# As ./dev has it: whoever asks a cache first that cannot be reached measures nothing else.
os.environ.setdefault("NIX_CONFIG", "sandbox = true\nsandbox-fallback = false\nsubstituters =\nbuild-users-group = nixbld\n")
os.environ.setdefault("NIX_PATH", "")

PODMAN = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]
netns = "none"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
"""


@contextmanager
def docker(folder: Path, store: str) -> Iterator[list[str]]:
    """A private daemon; gives its client."""
    (folder / "daemon.json").write_text(json.dumps({"features": {"containerd-snapshotter": store == "containerd"}}))
    command = ["dockerd", f"--data-root={folder}/data", f"--exec-root={folder}/run", f"--pidfile={folder}/pid"]
    command += [f"--host=unix://{folder}/socket", "--iptables=false", "--ip6tables=false", "--bridge=none"]
    command += [f"--config-file={folder}/daemon.json", *(["--storage-driver=overlay2"] if store == "graph" else [])]
    os.environ["DOCKER_HOST"] = f"unix://{folder}/socket"
    with (folder / "log").open("wb") as log:
        daemon = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            while subprocess.run(["docker", "version"], capture_output=True, check=False).returncode:
                time.sleep(0.1)
                if daemon.poll() is not None:
                    raise SystemExit((folder / "log").read_text())
            yield ["docker"]
        finally:
            daemon.terminate()
            daemon.wait()


@contextmanager
def podman(folder: Path, store: str) -> Iterator[list[str]]:
    """Podman with storage of its own."""
    (folder / "containers.conf").write_text(PODMAN)
    (folder / "storage.conf").write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/root"\nrunroot = "{folder}/run"\n'
    )
    os.environ["CONTAINERS_CONF"] = f"{folder}/containers.conf"
    os.environ["CONTAINERS_STORAGE_CONF"] = f"{folder}/storage.conf"
    os.environ["PODMAN_IGNORE_CGROUPSV1_WARNING"] = "1"
    try:
        yield ["podman"]
    finally:
        subprocess.run(["umount", f"{folder}/root/overlay"], capture_output=True, check=False)


class Loop:
    """One engine, and the image in versions of which no two were there before."""

    def __init__(self, data: str, client: list[str]) -> None:
        self._data, self._client = data, client
        self._count = 0
        self._times: dict[str, list[float]] = {}

    def edit(self) -> str:
        """An expression of an image that nobody has built."""
        self._count += 1
        salt = f"{os.getpid()} {self._count}"
        return f'(import {CHECKOUT}/bench/load.nix {{ data = "{self._data}"; salt = "{salt}"; }})'

    def timed(self, what: str, action: Callable[[], object]) -> object:
        started = time.perf_counter()
        result = action()
        self._times.setdefault(what, []).append(time.perf_counter() - started)
        return result

    def median(self, what: str) -> float:
        return statistics.median(self._times[what])

    def build(self, expression: str) -> str:
        return nix("nix-build", "--no-out-link", "-E", expression)[0]

    def load(self, executable: str) -> str:
        to = ["--to", self._client[0]]
        return subprocess.run([executable, *to], check=True, capture_output=True, text=True).stdout.strip()

    def load_archive(self, archive: str) -> str:
        done = subprocess.run([*self._client, "load", "-i", archive], check=True, capture_output=True, text=True)
        return done.stdout.strip().rpartition(" ")[2]

    def run(self, reference: str) -> None:
        command = [*self._client, "run", "--rm", "--network=none", reference]
        assert len(subprocess.run(command, check=True, capture_output=True).stdout) == 65

    def measure_loads(self, times: int) -> None:
        """Both ways in turns; what is loaded is built before."""
        first = self.build(self.edit() + ".load")
        self.timed("load, nothing there", lambda: self.load(first))
        # With containerd's store the two ways share no layers: each has its own before anything is timed.
        self.load_archive(self.build(self.edit()))
        self.load_archive(self.build(f'({self.edit()}.override {{ compressor = "none"; }})'))
        for _ in range(times):
            self.timed("load, image there", lambda: self.load(first))
            image = self.edit()
            executable, archive = self.build(f"{image}.load"), self.build(self.edit())
            plain = self.build(f'({self.edit()}.override {{ compressor = "none"; }})')
            self.timed("load, 1 MB changed", lambda executable=executable: self.load(executable))  # type: ignore[misc]
            self.timed("archive, 1 MB changed", lambda archive=archive: self.load_archive(archive))  # type: ignore[misc]
            self.timed("plain archive, 1 MB changed", lambda plain=plain: self.load_archive(plain))  # type: ignore[misc]

    def measure_edits(self, times: int) -> None:
        """From the edit to the output of a container, `nix-build` included."""
        for _ in range(times):
            image = self.edit()
            self.timed("edit to container, load", lambda image=image: self.run(self.load(self.build(f"{image}.load"))))  # type: ignore[misc]
            image = self.edit()
            self.timed(
                "edit to container, archive",
                lambda image=image: self.run(self.load_archive(self.build(image))),  # type: ignore[misc]
            )

    def report(self) -> None:
        for what, times in self._times.items():
            print(f"{what:<28}{self.median(what):8.3f} s   ({', '.join(f'{t:.2f}' for t in times)})")
        for ours, theirs in (
            ("load, 1 MB changed", "archive, 1 MB changed"),
            ("load, 1 MB changed", "plain archive, 1 MB changed"),
            ("edit to container, load", "edit to container, archive"),
        ):
            if ours not in self._times:
                continue
            print(f"{ours}: {self.median(theirs) / self.median(ours):.1f} times as fast as {theirs}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", default="middle", choices=("small", "middle", "big"))
    parser.add_argument("--engine", choices=("docker", "podman"), default="docker")
    parser.add_argument("--store", choices=("graph", "containerd"), default="graph")
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--without-builds", action="store_true", help="loads alone, not from the edit on")
    options = parser.parse_args()
    start = {"docker": docker, "podman": podman}[options.engine]
    with tempfile.TemporaryDirectory(prefix="dockertools-py-bench.") as folder:
        os.environ["XDG_CACHE_HOME"] = f"{folder}/cache"
        with start(Path(folder), options.store) as client:
            loop = Loop(options.data, client)
            loop.measure_loads(options.times)
            if not options.without_builds:
                loop.measure_edits(options.times)
    loop.report()


main()
