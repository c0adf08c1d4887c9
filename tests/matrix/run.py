"""Other releases of Nix, Python and Debian than this machine's: what of the project is tried on them, and a table of it.

./dev matrix [WORD...]: only the steps that have one of these words in their line

What ./dev test runs on this machine's own Nix and Python is not repeated. Two trees are worked on at a time.
"""

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.matrix.tree import CACHE, CHECKOUT, INSIDE, Failed, Tree, Unavailable, run
from tests.oracle.programs import pythons

LEFT_OUT = ("store/test_scale.py", "registry/test_real.py", "registry/test_push_real.py", "formats/test_fuzz.py")
"""What takes long, and says nothing of a Python or a Nix that the other files do not say."""
CORE_TESTS = [f"tests/{part}" for part in ("model", "pack", "formats", "store")]
CORE_TESTS += [f"--ignore=tests/{file}" for file in LEFT_OUT]
"""For a Python that is neither the oldest nor the newest: on these two, everything runs."""
UNIT_TESTS = [*CORE_TESTS, "tests/registry", "tests/commands"]
EVALUATION = ["tests/nix/test_evaluation.py", "tests/nix/test_hydra.py", "tests/nix/test_inheritConfig.py"]
FLAKES = ["tests/nix/test_flake.py"]
SCRIPTS = ["tests/nix/test_scripts_elsewhere.py"]
FARM = ["tests/nix/test_remoteBuilders.py", "tests/nix/test_binaryCache.py"]
REAL_IDS = ["tests/matrix/uid_range.py"]
"""For Nix 2.12 and newer: all but Debian 12's."""
SHARED_PACKAGES = "/usr/lib/python3/dist-packages"
"""Where Debian's pytest is; it is Python alone, so another Python runs it too."""


NOT_RUN, FAILED, UNAVAILABLE = "not run", "FAILED", "NOT TO BE HAD"


@dataclass
class Step:
    """A row of the table. `do` returns what to say of it; nothing of the same lane goes on when a `base` fails."""

    place: str
    what: str
    do: Callable[[], str]
    base: bool = False
    result: str = NOT_RUN
    seconds: float = 0.0

    @property
    def is_good(self) -> bool:
        """Whether it ran to its end."""
        return self.result not in (NOT_RUN, FAILED, UNAVAILABLE)

    def run(self) -> None:
        """Once, with a line on standard error."""
        started = time.monotonic()
        try:
            self.result = self.do()
        except Unavailable as error:
            self.result = UNAVAILABLE
            print(f"\n{self.place}: {self.what}: {error}\n", file=sys.stderr)
        except Exception as error:  # whatever it is, the other steps go on
            self.result = FAILED
            print(f"\n{self.place}: {self.what}: {type(error).__name__}: {error}\n", file=sys.stderr)
        self.seconds = time.monotonic() - started
        print(f"  {self.place}: {self.what}: {self.result} ({self.seconds:.1f} s)", file=sys.stderr, flush=True)


def passed(report: str) -> str:
    """The last line of pytest's report. Raises Failed where nothing passed."""
    (*_, last) = report.strip().splitlines() or [""]
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|skipped|error)", last)}
    if not counts.get("passed") or counts.get("failed") or counts.get("error"):
        raise Failed(report[-6000:])
    return ", ".join(f"{number} {word}" for word, number in counts.items())


def tree_steps(tree: Tree, *, demo: bool, debs: Path | None) -> Iterator[Step]:
    """What is tried in a tree. `debs`: the packages to make the set of, where the suite's own are not known to it."""
    command = ["python3", "-m", "pytest", "-q", "--tb=short", "-n", "2", "--dist", "loadgroup", "--basetemp=/tmp/pytest"]

    def pytest(*files: str) -> str:
        try:
            return passed(tree.enter([*command, *files]))
        finally:
            tree.enter(["rm", "-rf", "/tmp/pytest"])

    def step(what: str, do: Callable[[], str], base: bool = False) -> Step:
        return Step(tree.suite, what, do, base)

    def make() -> str:
        tree.make()
        versions = tree.enter(["sh", "-c", "nix --version; python3 --version"])
        nix, python = re.findall(r"\d+[.]\d+[.]\d+", versions)
        return f"Nix {nix}, Python {python}"

    def setup() -> str:
        if debs:
            to = tree.root / INSIDE / ".cache/debs/13"
            subprocess.run(["mkdir", "-p", to.parent], check=True)
            subprocess.run(["cp", "-r", "--no-target-directory", "--update", debs, to], check=True)
        tree.enter(["./dev", "setup"])
        return "good"

    def image() -> str:
        build = ["nix-build", "--no-out-link", "-A", "bash-python"]
        path = tree.enter(build).strip()
        tree.enter([*build, "--check"])
        report = tree.enter(["python3", "-m", "dockertools_py", "validate", path])
        if not report.endswith(" 0 mismatches\n"):
            raise Failed(report)
        return report.partition(": ")[2].strip()

    def units() -> str:
        tree.enter(["nix-collect-garbage"])  # a GB of images that are not needed any more, while tests write files
        return pytest(*(CORE_TESTS if tree.suite == "trixie" else UNIT_TESTS))

    yield step("debootstrap, and this checkout in it", make, base=True)
    yield step("./dev setup", setup, base=True)
    yield step("bash-python built twice, and validated", image)
    yield step("evaluation: plain, pure, restricted; Hydra", lambda: pytest(*EVALUATION))
    yield step("flakes: show, build, check, run, eval", lambda: pytest(*FLAKES))
    yield step("scripts as root: with the sandbox, without it", lambda: pytest(*SCRIPTS))
    if tree.suite != "bookworm":
        yield step("scripts as root: by uid-range", lambda: pytest(*REAL_IDS))
    if demo:
        yield step("remote builders and binary caches", lambda: pytest(*FARM))
        yield step("./dev demo", lambda: demonstrated(tree.enter(["./dev", "demo"])))
    yield step("unit tests", units)


def demonstrated(output: str) -> str:
    """What the demo's container said. Raises Failed where it said nothing."""
    found = re.search(r"^Python \S+ with OpenSSL \S+", output, re.MULTILINE)
    if not found:
        raise Failed(output)
    return found[0]


def host_steps(place: str, elsewhere: set[str]) -> Iterator[Step]:
    """The demo on this machine, and the unit tests on every further Python that it has."""
    yield Step(place, "./dev demo", lambda: demonstrated(run(["./dev", "demo"])))
    if place == "bookworm":  # on Debian 13 ./dev test has no other newer one
        yield Step("engines", "loading into the Docker of sid", newest_docker)
    own = "{}.{}".format(*sys.version_info[:2])
    for version, program in sorted(pythons().items()):
        if version in {own, *elsewhere} or (CHECKOUT / ".cache") in Path(program).parents:
            continue
        yield Step(place, f"unit tests on Python {version}", partial(unit_tests, program, version))


def newest_docker() -> str:
    """Both of its stores. Raises Unavailable where apt has it not, as may be on any day."""
    try:
        return passed(run(["./dev", "test", "-q", "tests/clients/test_load.py", "-k", "docker-sid"], NEWEST_DOCKER="1"))
    except Failed as error:
        if "unpack_suite failed" in str(error):
            raise Unavailable(str(error)) from error
        raise


def unit_tests(program: str, version: str) -> str:
    """Of a Python that has no pytest of its own: in an environment that finds Debian's, also where a test starts it again."""
    folder = CACHE / f"python{version}"
    run([program, "-m", "venv", "--clear", "--without-pip", str(folder)])
    (folder / f"lib/python{version}/site-packages/debian.pth").write_text(f"{SHARED_PACKAGES}\n")
    pytest = [str(folder / "bin/python"), "-B", "-m", "pytest", "-q", "--tb=short", "-n", "2", "--dist", "loadgroup"]
    with tempfile.TemporaryDirectory() as temporary:
        options = [f"--basetemp={temporary}/pytest", "-p", "no:cacheprovider"]
        return passed(run([*pytest, *options, *CORE_TESTS]))


def run_lane(steps: Sequence[Step], words: Sequence[str]) -> None:
    """One after the other, those that are wanted."""
    for step in steps:
        if step.base or not words or any(word in f"{step.place} {step.what}" for word in words):
            step.run()
        if step.base and not step.is_good:
            return


def main(mirror: str, codename: str, words: Sequence[str]) -> int:
    """Exit code 0 only when every step went well."""
    other = "trixie" if codename == "bookworm" else "bookworm"
    released, newest = Tree(other, mirror), Tree("sid", mirror, is_released=False)
    known = released if other == "trixie" else None
    debs = (known.root / INSIDE if known else CHECKOUT) / ".cache/debs/13"
    lanes = [
        [*tree_steps(released, demo=True, debs=None)],
        [*tree_steps(newest, demo=False, debs=debs)],
        [*host_steps(codename, {"3.13", "3.14"})],
    ]
    started = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        # The package set of the newest is made of what the first one downloads.
        list(pool.map(lambda lane: run_lane(lane, []), [lanes[0][:2], lanes[1][:1]]))
        rest = [*([lanes[1][1:]] if lanes[1][0].is_good else []), lanes[0][2:], lanes[2]]
        if all(step.is_good for step in lanes[0][:2]):
            list(pool.map(lambda lane: run_lane(lane, words), rest))
    return report([step for lane in lanes for step in lane], words, time.monotonic() - started)


def report(steps: Sequence[Step], words: Sequence[str], seconds: float) -> int:
    """A table of what ran where, to standard output, and at its end a line that counts. Returns the exit code.

    With words, steps that were not asked for are not counted. Nor are those of a tree that is not to be had: it is Debian
    that lacks it, and no change here would help.
    """
    for step in steps:
        print(f"{step.place:<9} {step.what:<46} {step.result:<28} {step.seconds:6.1f} s")
    print(f"in {seconds / 60:.1f} minutes")
    absent = {step.place for step in steps if step.result == UNAVAILABLE}
    for place in sorted(absent):
        print(f"NOTHING WAS TRIED ON {place}: debootstrap or apt failed, as told above")
    counted = [step for step in steps if step.place not in absent and (step.result != NOT_RUN or not words)]
    good = sum(step.is_good for step in counted)
    print(f"matrix: {good} passed, {len(counted) - good} failed", flush=True)
    return 0 if good and good == len(counted) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
