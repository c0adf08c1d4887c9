"""Measures pushing to a registry on loopback against skopeo, in one run, and writes bench/PUSH.md.

bench/push.py [small|middle|big] [--times N]
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from measuring import Case, alternate
from verbs import nix

HERE = Path(__file__).resolve().parent
_PORT = re.compile(rb"listening on 127\.0\.0\.1:(\d+)")

_CACHE = "/var/lib/containers/cache"
# Of root skopeo keeps there what it pushed, whatever HOME is: each run gets an empty one, and the user's stays.
_HIDDEN = f'mkdir -p {_CACHE} && mount -t tmpfs tmpfs {_CACHE} && exec "$@"'
WITHOUT_CACHE = ["unshare", "--mount", "sh", "-c", _HIDDEN, "sh"] if os.geteuid() == 0 else []

BARS = (
    ("fresh registry, layers that are stored compressed", "fresh, stored layers", "skopeo fresh, stored layers", 1),
    (
        "fresh registry, layers to be made and compressed",
        "fresh, from the description",
        "skopeo fresh, docker archive",
        1,
    ),
    ("nothing changed, fresh machine", "nothing changed, fresh machine", "skopeo again, without its cache", 10),
)


@contextmanager
def registry(folder: Path) -> Iterator[str]:
    """`127.0.0.1:PORT` of a docker-registry, ended by its process id."""
    config, log = folder / "registry.yml", folder / "registry.log"
    config.write_text(
        f"version: 0.1\nlog: {{level: info}}\nstorage: {{filesystem: {{rootdirectory: {folder}/data}}}}\n"
        'http: {addr: "127.0.0.1:0"}\n'
    )
    with log.open("wb") as out:
        process = subprocess.Popen(["docker-registry", "serve", str(config)], stdout=out, stderr=out)
    try:
        while not (port := _PORT.search(log.read_bytes())):
            if process.poll() is not None:
                raise SystemExit(f"docker-registry does not start: {log.read_text()}")
            time.sleep(0.02)
        yield f"127.0.0.1:{int(port[1])}"
    finally:
        process.terminate()
        process.wait()


def cases(data: str, folder: Path, host: str) -> list[list[Case]]:
    """Groups of cases to be run in turns."""
    image = f'((import {HERE}/data.nix {{ }}).{data}.image "line")'
    push, layout, plain = nix(
        "nix-build",
        "--no-out-link",
        "-E",
        f'let i = {image}; in [ i.push i.oci (i.override {{ compressor = "none"; }}) ]',
    )
    script = Path(push).read_text().split()
    description = next(word.strip("'") for word in reversed(script) if word.strip("'").endswith("-image"))
    program = [word.strip("'") for word in script[1 : script.index("'push'")]][1:]
    home = folder / "home"
    skopeo = [
        *WITHOUT_CACHE,
        "skopeo",
        "--insecure-policy",
        "copy",
        "--quiet",
        "--dest-tls-verify=false",
        "--preserve-digests",
    ]

    def forget() -> None:
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir()

    def empty() -> None:
        forget()
        shutil.rmtree(folder / "data", ignore_errors=True)
        os.sync()  # what the one before has written is none of the next one's work

    def case(name: str, command: list[str], before: object) -> Case:
        one = Case(name, command, {"HOME": str(home), "XDG_CACHE_HOME": "", "XDG_DATA_HOME": "", "XDG_RUNTIME_DIR": ""})
        one.before = before  # type: ignore[assignment]
        return one

    names = {"ours": f"http://{host}/team/ours:1", "theirs": f"docker://{host}/team/theirs:1"}
    fresh = [
        case("fresh, stored layers", [*program, "push", layout, names["ours"]], empty),
        case("skopeo fresh, stored layers", [*skopeo, f"oci:{layout}", names["theirs"]], empty),
        case("fresh, from the description", [*program, "push", description, names["ours"]], empty),
        case("skopeo fresh, docker archive", [*skopeo[:-1], f"docker-archive:{plain}", names["theirs"]], empty),
    ]
    there = [
        case("nothing changed, fresh machine", [*program, "push", description, names["ours"]], forget),
        case("skopeo again, without its cache", [*skopeo[:-1], f"docker-archive:{plain}", names["theirs"]], forget),
        case("skopeo again, stored layers", [*skopeo, f"oci:{layout}", f"{names['theirs']}oci"], forget),
    ]
    return [fresh, there]


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench/push.py", description=__doc__)
    parser.add_argument("data", nargs="?", default="middle", choices=("small", "middle", "big"))
    parser.add_argument("--times", type=int, default=3)
    options = parser.parse_args()
    measured: dict[str, Case] = {}
    with tempfile.TemporaryDirectory(prefix="dockertools-py-bench.") as name, registry(Path(name)) as host:
        fresh, there = cases(options.data, Path(name), host)
        alternate(fresh, options.times)
        # Each pushes once so that all is there, which is not counted.
        alternate(there, 1)
        for case in there:
            case.costs.clear()
        alternate(there, options.times)
        measured = {case.name: case for case in (*fresh, *there)}
        size = sizes(host)
    (HERE / "PUSH.md").write_text("\n".join(results(options.data, measured, size)) + "\n")
    print(HERE / "PUSH.md")


def sizes(host: str) -> dict[str, int]:
    """Bytes of the compressed layers that each has sent."""
    found = {}
    for name in ("ours", "theirs"):
        command = ["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{host}/team/{name}:1"]
        manifest = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        found[name] = sum(layer["size"] for layer in manifest["layers"])
    return found


def results(data: str, measured: dict[str, Case], size: dict[str, int]) -> Iterator[str]:
    """PUSH.md, line by line."""
    versions = [
        subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\n")[0]
        for command in (["skopeo", "--version"], ["docker-registry", "--version"])
    ]
    yield "# Results of pushing\n"
    yield f"Written by `bench/push.py {data}`: medians of whole processes, run in turns, into docker-registry on loopback."
    yield f"Each begins without a cache. {os.cpu_count()} cores, {', '.join(versions)}.\n"
    yield "| what | bar | measured |\n|---|---|---|"
    for text, ours, theirs, limit in BARS:
        ratio = measured[theirs].median("wall") / measured[ours].median("wall")
        missed = "" if ratio >= limit else " **(missed)**"
        yield f"| {text} | {limit} times as fast | {ratio:.1f} times as fast{missed} |"
    seconds = measured["nothing changed, fresh machine"].median("wall")
    yield f"| nothing changed, fresh machine | under 0.4 s | {seconds:.2f} s{'' if seconds < 0.4 else ' **(missed)**'} |\n"
    yield "| process | wall s | CPU s | peak MB | runs |\n|---|---:|---:|---:|---:|"
    for case in measured.values():
        figures = (
            f"{case.median('wall'):.2f} | {case.median('cpu'):.2f} | {case.median('memory'):.0f} | {len(case.costs)}"
        )
        yield f"| {'' if 'skopeo' in case.name else '**'}{case.name}{'' if 'skopeo' in case.name else '**'} | {figures} |"
    ours, theirs = (size[name] / 1e6 for name in ("ours", "theirs"))
    yield f"\nThe layers made from the description have {ours:.1f} MB, those that skopeo made {theirs:.1f} MB."


main()
