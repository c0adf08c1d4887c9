"""What it costs to run a script as root without root, beside real root in a chroot: `python3 bench/root.py`, as root.

Both run the same Python program in the same tree, in turns, and the medians are compared: microseconds a call, of which some
are the program's own. The last lines are of whole programs.
"""

import json
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.root.trees import give_away, make_tree, run_ours, run_real, scratch

TIMES = 5
FILES = 20_000
CALLS = """
import ctypes, json, os, time
syscall = ctypes.CDLL(None).syscall
os.makedirs("/w", exist_ok=True); os.chdir("/w")
open("known", "w").close(); os.chown("known", 5, 6); open("other", "w").close()

def each(call, count=2000):
    start = time.perf_counter()
    for number in range(count):
        call(number)
    return (time.perf_counter() - start) / count * 1e6

def start(_):
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(pid, 0)

def create(number):
    os.close(os.open(f"new{number}", os.O_CREAT | os.O_WRONLY))

found = {
    "getppid (not trapped)": each(lambda _: os.getppid()),
    "open and close": each(lambda _: os.close(os.open("other", 0))),
    "create": each(create),
    "stat, file without record": each(lambda _: os.stat("other")),
    "stat, file with record": each(lambda _: os.stat("known")),
    "chown": each(lambda number: os.chown("other", number, 7)),
    "chmod 755": each(lambda _: os.chmod("known", 0o755)),
    "chmod 4755": each(lambda _: os.chmod("known", 0o4755)),
    "start a program": each(start, 200),
}
for number in range(2000):
    os.unlink(f"new{number}")
print(json.dumps(found))
"""
PROGRAMS = {
    "trivial script": ":",
    f"make {FILES} files": (
        f"mkdir /many && cd /many && for d in $(seq 20); do mkdir $d; (cd $d; seq {FILES // 20} | xargs touch); done"
    ),
    f"chown -R of {FILES} files": "chown -R 5:6 /many",
    f"ls -lR of {FILES} files": "ls -lR /many > /dev/null",
    f"tar c and x of {FILES} files": "mkdir /copy && tar c -C /many . | tar xp -C /copy",
    "rm -r of both": "rm -r /many /copy",
    "1000 forks in sh": "i=0; while [ $i -lt 1000 ]; do i=$((i + 1)); (:); done",
}


def main() -> None:
    with scratch() as folder:
        tops = {who: make_tree(folder / who, {"calls.py": CALLS}) for who in ("real", "ours")}
        give_away(tops["ours"])
        runs = {"real": run_real, "ours": run_ours}
        calls: dict[str, dict[str, list[float]]] = {who: {} for who in runs}
        programs: dict[str, dict[str, list[float]]] = {who: {} for who in runs}
        for _ in range(TIMES):
            for who, run in runs.items():
                ran = run(tops[who], ("/usr/bin/python3", "-I", "/calls.py"))
                assert ran.code == 0, ran.output
                for name, value in json.loads(ran.output).items():
                    calls[who].setdefault(name, []).append(value)
                for name, text in PROGRAMS.items():
                    started = time.perf_counter()
                    ran = run(tops[who], ("/bin/sh", "-ec", text))
                    programs[who].setdefault(name, []).append(time.perf_counter() - started)
                    assert ran.code == 0, ran.output
    _print(calls, "µs", 1)
    _print(programs, "s", 3)


def _print(found: dict[str, dict[str, list[float]]], unit: str, digits: int) -> None:
    print(f"| {unit} | real root | ours | ratio |\n|---|---:|---:|---:|")
    for name in found["real"]:
        real, ours = (statistics.median(found[who][name]) for who in ("real", "ours"))
        print(f"| {name} | {real:.{digits}f} | {ours:.{digits}f} | {ours / real:.1f} |")


if __name__ == "__main__":
    main()
