"""From an edit to a container that runs: `load` against archives for `docker load`, in one run; writes bench/LOAD.md.

    ./dev bench load [small|middle|big] [--times N] [--engine NAME]... [--without-builds]

Engines: `docker` and `podman` of PATH; `docker-SUITE` and `docker-SUITE-containerd` (containerd's image store, Docker 26 and
later) of .cache/suites, and of .cache/newest, where ./dev matrix puts sid's; all that are there if none is named. As root, each
with a state of its own in a temporary folder.
"""

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from verbs import CHECKOUT, nix

# As ./dev has it: whoever asks a cache first that cannot be reached measures nothing else.
os.environ.setdefault("NIX_CONFIG", "sandbox = true\nsandbox-fallback = false\nsubstituters =\nbuild-users-group = nixbld\n")
os.environ.setdefault("NIX_PATH", "")

DOCKERD = "root/usr/sbin/dockerd"
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
    """A private daemon with one of its stores, "graph" or "containerd"; gives its client."""
    (folder / "daemon.json").write_text(json.dumps({"features": {"containerd-snapshotter": store == "containerd"}}))
    command = ["dockerd", f"--data-root={folder}/data", f"--exec-root={folder}/run", f"--pidfile={folder}/pid"]
    command += [f"--host=unix://{folder}/socket", "--iptables=false", "--ip6tables=false", "--bridge=none"]
    command += [f"--config-file={folder}/daemon.json", *(["--storage-driver=overlay2"] if store == "graph" else [])]
    os.environ["DOCKER_HOST"] = f"unix://{folder}/socket"
    with (folder / "log").open("wb") as log:
        daemon = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            while subprocess.run(["docker", "version"], capture_output=True, check=False).returncode:
                if daemon.poll() is not None:
                    raise SystemExit((folder / "log").read_text())
                time.sleep(0.1)
            yield ["docker"]
        finally:
            daemon.terminate()
            daemon.wait()


@contextmanager
def podman(folder: Path) -> Iterator[list[str]]:
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


def engines() -> list[str]:
    """Those that are here."""
    found = [name for name, program in (("docker", "dockerd"), ("podman", "podman")) if shutil.which(program)]
    for suite in sorted({program.parents[3].name for program in (CHECKOUT / ".cache").glob(f"*/*/{DOCKERD}")}):
        found += [f"docker-{suite}", f"docker-{suite}-containerd"]
    return found


@contextmanager
def started(name: str) -> Iterator[list[str]]:
    """An engine with nothing in it; gives its client."""
    environment = dict(os.environ)
    kind, _, suite = name.removesuffix("-containerd").partition("-")
    if suite:
        root = next((CHECKOUT / ".cache").glob(f"*/{suite}/{DOCKERD}")).parents[1]
        # runc is the system's, as a newer one wants a newer libc.
        os.environ["PATH"] = f"{root}/sbin:{root}/bin:{os.environ['PATH']}"
    try:
        with tempfile.TemporaryDirectory(prefix="dockertools-py-bench.") as folder:
            os.environ["XDG_CACHE_HOME"] = f"{folder}/cache"
            store = "containerd" if name.endswith("-containerd") else "graph"
            with docker(Path(folder), store) if kind == "docker" else podman(Path(folder)) as client:
                yield client
    finally:
        os.environ.clear()
        os.environ.update(environment)


def output(command: list[str], stdin: int | None = None) -> str:
    """What a command says; when it fails, what it said on standard error is the last that we say."""
    done = subprocess.run(command, stdin=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}\n{done.stderr}{done.stdout}")
    return done.stdout.strip()


def pigz() -> list[str]:
    """Options of nix-build with which a builder finds the system's pigz."""
    program = shutil.which("pigz") or sys.exit("pigz is not on PATH: nixpkgs compresses archives with it")
    libraries = re.findall(r"(/\S+)", output(["ldd", program]))
    paths = [f"/usr/bin/pigz={program}", *(f"{path}={Path(path).resolve()}" for path in libraries)]
    return ["--option", "extra-sandbox-paths", " ".join(paths)]


class Loop:
    """One engine, and the image in versions of which no two were there before."""

    count = 0

    def __init__(self, data: str, client: list[str]) -> None:
        self._data, self._client = data, client
        self._pigz = pigz()
        self._times: dict[str, list[float]] = {}
        self._archives: list[str] = []

    def edit(self) -> str:
        """An expression of an image that nobody has built, in all forms."""
        Loop.count += 1
        salt = f"{os.getpid()} {time.time_ns()} {Loop.count}"
        return f'(import {CHECKOUT}/bench/load.nix {{ data = "{self._data}"; salt = "{salt}"; }})'

    def timed(self, what: str, action: Callable[[], object]) -> None:
        began = time.perf_counter()
        action()
        self._times.setdefault(what, []).append(time.perf_counter() - began)
        self.forget()

    def forget(self) -> None:
        """Delete the archives, of which each edit makes another one of up to 1 GB; that is not timed."""
        while self._archives:
            output(["nix-store", "--delete", self._archives.pop()])

    def medians(self) -> dict[str, float]:
        """Seconds of all that was measured."""
        return {what: statistics.median(times) for what, times in self._times.items()}

    def build(self, expression: str) -> str:
        command = ["nix-build", "--no-out-link", *self._pigz, "-E", expression]
        return output(command).split()[-1]

    def load(self, executable: str) -> str:
        return output([executable, "--to", self._client[0]]).splitlines()[-1]

    def load_archive(self, archive: str) -> str:
        self._archives.append(archive)
        return output([*self._client, "load", "-i", archive]).rpartition(" ")[2]

    def load_stream(self, executable: str) -> str:
        with subprocess.Popen([executable], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as stream:
            assert stream.stdout
            said = output([*self._client, "load"], stdin=stream.stdout.fileno())
        if stream.returncode:
            raise SystemExit(f"{executable} ended with {stream.returncode}")
        return said.rpartition(" ")[2]

    def run(self, reference: str) -> None:
        said = output([*self._client, "run", "--rm", "--network=none", reference])
        assert re.fullmatch("[0-9a-f]{64}", said), said

    def measure_loads(self, times: int) -> None:
        """Both ways in turns; what is loaded is built before."""
        first = self.build(f"{self.edit()}.image.load")
        self.timed("load, nothing there", lambda: self.load(first))
        # With containerd's store the two ways share no layers: each has its own before anything is timed.
        for form in ("image", "plain"):
            self.load_archive(self.build(f"{self.edit()}.{form}"))
            self.forget()
        for _ in range(times):
            self.timed("load, image there", lambda: self.load(first))
            executable = self.build(f"{self.edit()}.image.load")
            self.timed("load", lambda executable=executable: self.load(executable))  # type: ignore[misc]
            for form in ("image", "plain", "whole", "changed"):
                archive = self.build(f"{self.edit()}.{form}")
                self.timed(f"load of `{form}`", lambda archive=archive: self.load_archive(archive))  # type: ignore[misc]

    def measure_edits(self, times: int) -> None:
        """From the edit to the output of a container, `nix-build` included."""
        ways = (
            ("image.load", self.load),
            ("image", self.load_archive),
            ("image.stream", self.load_stream),
            ("twoPass", self.load_stream),
            ("whole", self.load_archive),
        )
        for _ in range(times):
            for form, load in ways:
                edit = f"{self.edit()}.{form}"
                self.timed(f"edit, {form}", lambda edit=edit, load=load: self.run(load(self.build(edit))))  # type: ignore[misc]


ROWS = (
    ("load, nothing there", "`load`, nothing there"),
    ("load, image there", "`load`, image there"),
    ("load", "`load`, 1 MB changed"),
    ("load of `plain`", "`docker load` of the archive, uncompressed layers"),
    ("load of `whole`", "`docker load` of the archive, gzip of the whole image"),
    ("load of `image`", "`docker load` of the archive, gzip layers"),
    ("load of `changed`", "`docker load` of an image of the two changed layers alone"),
    ("edit, image.load", "edit to container, `image.load`"),
    ("edit, image", "edit to container, our archive"),
    ("edit, image.stream", "edit to container, `image.stream` piped into `docker load`"),
    ("edit, twoPass", "edit to container, a two-pass stream piped into `docker load`"),
    ("edit, whole", "edit to container, gzip of the whole image"),
)
"""What is measured, and how it is called in the results."""

BARS = (
    ("`load`, image there", "load, image there", None, 0.25),
    ("`load`, 1 MB changed", "load", None, 0.6),
    ("the same, against `docker load` of the uncompressed archive", "load", "load of `plain`", 10),
    ("the same, against the gzip of the whole image", "load", "load of `whole`", 10),
    ("the same, against the archive with gzip layers", "load", "load of `image`", 10),
    ("edit to container, against our archive", "edit, image.load", "edit, image", 5),
    ("edit to container, against a stream into `docker load`", "edit, image.load", "edit, image.stream", 5),
    ("edit to container, against a two-pass stream into `docker load`", "edit, image.load", "edit, twoPass", 5),
    ("edit to container, against the gzip of the whole image", "edit, image.load", "edit, whole", 5),
)
"""What; ours; theirs, or nothing where seconds count; the bar: at the most so many seconds, at least so many times as fast."""


def results(options: argparse.Namespace, measured: dict[str, dict[str, float]], load: float) -> Iterator[str]:
    """LOAD.md, line by line."""
    yield "# Results of loading\n"
    yield f"Written by `./dev bench load {options.data}`: medians of {options.times} runs, in turns. In the image"
    yield "1 MB is changed (`middle`: 1 GB in 42 layers). `docker load` stands for the engine's own program, be it podman's.\n"
    yield "Each edit is built by `nix-build`, evaluation counted, then loaded and run until the container has said its line:"
    yield "- *our archive*: `nix-build -A image`, which joins stored layers: two of them are made and compressed again."
    yield "- *a stream*: `$(nix-build) | docker load`; the streamer is ours."
    yield "- *a two-pass stream*: the same with bench/twopass.py, which works as nixpkgs' `streamLayeredImage`: it tars each"
    yield "  layer twice, in a single thread; without nixpkgs' own derivations beside it."
    yield "- *gzip of the whole image*: as nixpkgs' `buildLayeredImage` does it, one derivation that streams all layers through"
    yield "  `pigz -nTR`, with our streamer, which is quicker than theirs, and without nixpkgs' own derivations beside it.\n"
    machine = f"{os.cpu_count()} cores ({platform.machine()}), Linux {platform.release()}"
    yield "The image of the two changed layers alone is the least that an engine's own program can be given.\n"
    yield f"{machine}, Nix {nix('nix-store', '--version')[-1]}; load before: {load:.1f}.\n"
    yield f"| seconds | {' | '.join(measured)} |\n|---|{'---:|' * len(measured)}"
    for key, text in ROWS:
        if all(key in medians for medians in measured.values()):
            yield f"| {text} | {' | '.join(f'{medians[key]:.2f}' for medians in measured.values())} |"
    yield f"\n| what | bar | {' | '.join(measured)} |\n|---|---|{'---:|' * len(measured)}"
    for text, ours, theirs, limit in BARS:
        if any(ours not in medians or (theirs or ours) not in medians for medians in measured.values()):
            continue
        cells = []
        for medians in measured.values():
            value = medians[theirs] / medians[ours] if theirs else medians[ours]
            missed = value < limit if theirs else value > limit
            cells.append((f"{value:.1f} times" if theirs else f"{value:.2f} s") + (" **(missed)**" if missed else ""))
        yield f"| {text} | {f'{limit} times as fast' if theirs else f'under {limit} s'} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", default="middle", choices=("small", "middle", "big"))
    parser.add_argument("--engine", action="append", choices=engines())
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--without-builds", action="store_true", help="loads alone, not from the edit on")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    measured = {}
    for name in options.engine or engines():
        print(name, file=sys.stderr)
        with started(name) as client:
            loop = Loop(options.data, client)
            loop.measure_loads(options.times)
            if not options.without_builds:
                loop.measure_edits(options.times)
        measured[name] = loop.medians()
    (CHECKOUT / "bench/LOAD.md").write_text("\n".join(results(options, measured, load)) + "\n")
    print(CHECKOUT / "bench/LOAD.md")


if __name__ == "__main__":
    main()
