"""A Debian of another release in a folder below .cache, with its own Nix and Python, and this checkout in it."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
CACHE = CHECKOUT / ".cache/matrix"
ENTER = Path(__file__).with_name("enter")
INSIDE = Path("root/checkout")
PACKAGES = (
    *("nix-bin", "ca-certificates", "python3", "python3-pytest", "python3-pytest-xdist", "busybox-static"),
    *("zstd", "xz-utils", "bzip2", "procps"),
)
FROM_THE_MIRROR = 1200.0
"""Seconds for one command that downloads: a mirror may be slow."""
ATTEMPTS = 3
OWN_MOUNTS = ("unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child")
"""debootstrap mounts /proc and /sys in the tree. This way they are gone when it is, and are not removed with the tree."""
BUILD_USERS = 8
FIRST_ID = 41000
"""Nix ends a build by killing every process of its build user, and the machine's Nix sees the processes in here too."""
NIX_CONFIG = f"""sandbox = true
sandbox-fallback = false
substituters =
build-users-group = nixbld
max-jobs = {os.cpu_count() or 1}
"""


@dataclass(frozen=True)
class Tree:
    """`suite` as apt names it. What is not released may be broken on any day, and then there is no tree of it."""

    suite: str
    mirror: str
    is_released: bool = True

    @property
    def root(self) -> Path:
        """The folder."""
        return CACHE / self.suite

    def make(self) -> None:
        """Bootstrap it, unless one of these packages is there. Raises Unavailable where Debian cannot be installed."""
        recipe = f"{self.mirror} {' '.join(PACKAGES)}\n"
        note = CACHE / f"{self.suite}.recipe"
        if not note.exists() or note.read_text() != recipe:
            note.unlink(missing_ok=True)
            try:
                self._bootstrap()
                self._install()
            except (Failed, subprocess.TimeoutExpired) as error:
                if self.is_released:
                    raise
                raise Unavailable(str(error)) from error
            self._add_build_users()
            self._add_release()
            note.write_text(recipe)
        shutil.copy("/etc/resolv.conf", self.root / "etc/resolv.conf")
        self._copy_checkout()

    def enter(self, command: Sequence[str], **environment: str) -> str:
        """What a command in the checkout prints. Raises Failed."""
        inside = [f"{name}={value}" for name, value in {"NIX_CONFIG": NIX_CONFIG, "NIX_PATH": "", **environment}.items()]
        change = ["env", f"--chdir=/{INSIDE}", *inside]
        return run([str(ENTER), str(self.root), *change, *command])

    def _bootstrap(self) -> None:
        """What apt needs, and no more: debootstrap knows neither apt's retries nor what another package provides."""
        patience = CACHE / "wgetrc"
        CACHE.mkdir(parents=True, exist_ok=True)
        # wget itself waits longer before each further try, of a mirror that answers with an error too.
        busy = "retry_on_http_error = 429,500,502,503,504"
        patience.write_text(f"timeout = 60\ntries = 5\nretry_connrefused = on\n{busy}\n")
        command = ["debootstrap", "--variant=minbase", "--include=ca-certificates", self.suite, str(self.root), self.mirror]
        for attempt in range(1, ATTEMPTS + 1):
            shutil.rmtree(self.root, ignore_errors=True)
            try:
                run([*OWN_MOUNTS, *command], FROM_THE_MIRROR, WGETRC=str(patience))
                break
            except Failed:
                if attempt == ATTEMPTS:
                    raise
        shutil.copy("/etc/resolv.conf", self.root / "etc/resolv.conf")
        # Nobody wants the tree after a power failure, nor the manuals in it.
        (self.root / "etc/dpkg/dpkg.cfg.d/matrix").write_text(
            "force-unsafe-io\npath-exclude=/usr/share/doc/*\npath-exclude=/usr/share/man/*\npath-exclude=/usr/share/locale/*\n"
        )

    def _install(self) -> None:
        # A mirror of what is not released may be some days old.
        options = ["-o", "Acquire::Check-Valid-Until=false", "-o", "Acquire::Retries=5"]
        apt = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y", *options]
        for command in (["update"], ["install", "--no-install-recommends", *PACKAGES], ["clean"]):
            run([str(ENTER), str(self.root), *apt, *command], FROM_THE_MIRROR)
        for unused in (self.root / "var/lib/apt/lists").glob("*_*"):
            unused.unlink()

    def _add_build_users(self) -> None:
        names = [f"nixbld{number}" for number in range(1, BUILD_USERS + 1)]
        with (self.root / "etc/group").open("a") as groups, (self.root / "etc/passwd").open("a") as users:
            groups.write(f"nixbld:x:{FIRST_ID}:{','.join(names)}\n")
            for number, name in enumerate(names, 1):
                users.write(f"{name}:x:{FIRST_ID + number}:{FIRST_ID}::/var/empty:/usr/sbin/nologin\n")

    def _add_release(self) -> None:
        """What is not released yet has no number. The package set is then Debian 13's, and only Nix and Python are newer."""
        about = self.root / "etc/os-release"
        if "VERSION_ID=" not in about.read_text():
            text = about.read_text()
            about.unlink()  # a link
            about.write_text(f'{text}VERSION_ID="13"\n')

    def _copy_checkout(self) -> None:
        to = self.root / INSIDE
        to.mkdir(parents=True, exist_ok=True)
        for old in to.iterdir():
            if old.name != ".cache":
                shutil.rmtree(old) if old.is_dir() else old.unlink()
        listed = ["git", "-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate"]
        for name in run(listed).splitlines():
            if (CHECKOUT / name).is_file():
                (to / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(CHECKOUT / name, to / name)


class Failed(Exception):
    """A command that ended with an error, and what it said."""


class Unavailable(Exception):
    """A tree that Debian does not have today, and what was said of it."""


def run(command: Sequence[str], timeout: float = 1800, **environment: str) -> str:
    """The standard output of a command in the checkout. Raises Failed."""
    done = subprocess.run(
        command,
        cwd=CHECKOUT,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout,
        check=False,
    )
    if done.returncode:
        raise Failed(f"{' '.join(command)}\nended with {done.returncode}\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}")
    return done.stdout
