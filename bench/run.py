"""Measures this project against other ways to do the same, in one run, and writes bench/RESULTS.md and bench/results.svg.

./dev bench [small|middle|big] [--times N]
"""

import argparse
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bases import base_cases
from chart import chart
from measuring import Case, alternate
from verbs import PYTHON, closure, derivation, nix, program

HERE = Path(__file__).resolve().parent
LEVEL = 2


@dataclass(frozen=True)
class Bar:
    """What is compared with what, and the most that the ratio may be (ours divided by theirs)."""

    text: str
    ours: str
    theirs: str
    limit: float
    what: str = "wall"


BARS = [
    Bar("describe, against the two-pass tarfile streamer", "describe", "two-pass tarfile", 1 / 8),
    Bar("describe, against `tar \\| sha256sum`", "describe", "tar | sha256sum", 1 / 3),
    Bar("describe, against reading and hashing alone on as many cores", "describe", "floor", 1.5),
    Bar("stream, against the two-pass tarfile streamer", "stream", "two-pass tarfile", 1 / 5),
    Bar("gzip of all layers, against `tar \\| pigz -p2`", "gzip", "tar | pigz", 1.1),
    Bar("new config on an old image: archive, against a copy of it", "compose", "cp", 2),
    Bar("description of a foreign base, against reading and hashing it", "base", "hash base", 1.5),
    Bar("the same of layers in gzip, against also uncompressing them", "base in gzip", "hash base in gzip", 1.5),
    Bar("child of a base, a layer of 1 MB on top: archive, against a copy of the base", "child", "cp base", 2),
    Bar("the same in gzip", "child in gzip", "cp base in gzip", 2),
    Bar("rebuild after a change of one line, against the first build", "rebuild", "first build", 1 / 10),
]


def cases(data: str, folder: Path) -> Iterator[tuple[list[Case], int]]:
    """Groups of cases to be run in turns, and how often for one time asked for."""
    attribute = f"(import {HERE}/data.nix {{ }}).{data}"
    paths = nix("nix-build", "--no-out-link", "-E", f"{attribute}.paths")
    (application,) = nix("nix-build", "--no-out-link", "-E", f"{attribute}.application")
    cores = str(os.cpu_count() or 1)
    shell = f"tar --sort=name -cf - -C / {' '.join(path[1:] for path in paths)}"

    spec: dict[str, object] = {
        "roots": [application],
        "copied": [],
        "copiedBelow": [],
        "budget": 124,
        "below": [],
        "owner": [0, 0],
        "mtime": 1,
    }
    describe = derivation(folder, "describe", spec | {"verb": "layers"}, closure=closure([application]))
    describe.run()
    layers = folder / "layers"
    shutil.copytree(folder / "describe" / "out", layers)
    describe.costs.clear()

    image = {"base": False, "bases": [], "layers": [str(layers)], "config": {}, "created": "1970-01-01T00:00:01Z"}
    make_image = derivation(
        folder, "image", image | {"verb": "image", "platform": {"os": "linux", "architecture": "amd64"}}
    )
    make_image.run()
    stream = Case("stream", [*program(folder), "stream", str(folder / "image" / "out"), "-t", "bench:1"])
    two_pass = Case("two-pass tarfile", [*PYTHON, str(HERE / "twopass.py"), "bench:1", "true", *paths])
    hashed = Case("tar | sha256sum", ["sh", "-c", f"{shell} | sha256sum"])
    floor = Case("floor", [*PYTHON, str(HERE / "floor.py"), cores, *paths])
    yield [describe, stream, two_pass, hashed, floor], 1

    blobs = {"verb": "blobs", "layers": [str(layers)], "except": [], "compressor": "gz", "level": LEVEL, "zstd": None}
    gzip = derivation(folder, "gzip", blobs)
    packed = folder / "pigz.gz"
    yield [gzip, Case("tar | pigz", ["sh", "-c", f"{shell} | pigz -n -p{cores} -{LEVEL} > {packed}"])], 1
    size = sum(file.stat().st_size for file in (folder / "gzip" / "out").iterdir() if file.suffix != ".json")
    print(
        f"gzip: {size} bytes, pigz: {packed.stat().st_size}, ratio {size / packed.stat().st_size:.3f}", file=sys.stderr
    )

    named = {"image": str(folder / "image" / "out"), "references": ["bench:1"]}
    archive = {"verb": "archive", "images": [named], "format": "archive", "zstd": None}
    compose = derivation(folder, "compose", archive | {"blobs": [str(folder / "gzip" / "out")]})
    compose.run()
    original = folder / "archive.tar"
    shutil.copy(folder / "compose" / "out", original)
    copy = Case("cp", ["cp", "--reflink=never", str(original), str(folder / "copy.tar")])
    copy.before = lambda: (folder / "copy.tar").unlink(missing_ok=True)
    compose.costs.clear()
    yield [compose, copy], 3

    yield from base_cases(paths, folder)

    salt = str(os.getpid())  # nothing of it was ever built

    def build(line: str) -> list[str]:
        # Layers are salted too, by their mtime: the first build makes all of them.
        expression = f'({attribute}.image "{line}").override {{ mtime = {salt}; }}'
        return ["nix-build", "--no-out-link", "-E", expression]

    # Of each build the archive's path, so that the next one finds neither it nor its dirty pages
    made = folder / "made"

    def forget() -> None:
        if made.exists():
            subprocess.run(["nix-store", "--delete", made.read_text().strip()], check=True, capture_output=True)
        os.sync()

    def built(name: str, line: str) -> Case:
        command = " ".join(map(shlex.quote, build("LINE"))).replace("LINE", line)
        return Case(name, ["sh", "-c", f"{command} > {made}"], before=forget)

    yield [built("first build", "one")], 0
    yield [built("rebuild", "'$$'")], 1  # another line each time: the shell's process id


def results(data: str, measured: dict[str, Case]) -> Iterator[str]:
    """RESULTS.md, line by line."""
    python = subprocess.run([PYTHON[0], "--version"], check=True, capture_output=True, text=True).stdout.strip()
    (nix_version,) = [" ".join(nix("nix", "--version"))]
    yield "# Results\n"
    yield f"Written by `./dev bench {data}`: medians of whole processes, run in turns, their output read through a pipe.\n"
    yield f"{os.cpu_count()} cores ({platform.machine()}), Linux {platform.release()}, {python}, {nix_version}.\n"
    yield "![wall time, ours against others](results.svg)\n"
    yield "| what | bar | measured |\n|---|---|---|"
    for bar in BARS:
        ratio = measured[bar.ours].median(bar.what) / measured[bar.theirs].median(bar.what)
        yield f"| {bar.text} | {_times(bar.limit)} | {_times(ratio)}{'' if ratio <= bar.limit else ' **(missed)**'} |"
    first = measured["stream"].median("first_byte")
    index = measured["index base"].median("wall") - measured["start python"].median("wall")
    yield f"| index of the tar of that base | under 0.2 s | {index:.3f} s{'' if index < 0.2 else ' **(missed)**'} |"
    memory = max(case.median("memory") for name, case in measured.items() if name in OURS)
    yield f"| first byte of the stream | under 0.3 s | {first:.2f} s{'' if first < 0.3 else ' **(missed)**'} |"
    yield f"| peak memory of a process | under 100 MB | {memory:.0f} MB{'' if memory < 100 else ' **(missed)**'} |\n"
    yield "| process | wall s | CPU s | peak MB | runs |\n|---|---:|---:|---:|---:|"
    for name, case in measured.items():
        figures = f"{case.median('wall'):.2f} | {case.median('cpu'):.2f} | {case.median('memory'):.0f}"
        yield f"| {'**' + name + '**' if name in OURS else name} | {figures} | {len(case.costs)} |"


OURS = ("describe", "stream", "gzip", "compose", "base", "base in gzip", "index base", "child", "child in gzip")


def _times(ratio: float) -> str:
    return f"{1 / ratio:.1f} times as fast" if ratio < 1 else f"{ratio:.2f} times the time"


def main() -> None:
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("data", nargs="?", default="middle", choices=("small", "middle", "big"))
    parser.add_argument("--times", type=int, default=5)
    options = parser.parse_args()
    measured: dict[str, Case] = {}
    with tempfile.TemporaryDirectory(prefix="dockertools-py-bench.") as folder:
        for group, weight in cases(options.data, Path(folder)):
            alternate(group, max(1, weight * options.times))
            for case in group:
                measured[case.name] = case
                print(f"{case.name:<20}{case.median('wall'):>9.2f} s", file=sys.stderr)
    (HERE / "results.svg").write_text(chart([(bar.ours, bar.theirs) for bar in BARS], measured))
    (HERE / "RESULTS.md").write_text("\n".join(results(options.data, measured)) + "\n")
    print(HERE / "RESULTS.md")


main()
