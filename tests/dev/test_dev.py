"""The script ./dev: its parts that could do harm or hide a failure."""

import re
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
DEV = ROOT / "dev"


def dev(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([DEV, *arguments], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


def functions(script: str) -> subprocess.CompletedProcess[str]:
    """Runs a script that has the functions of ./dev."""
    return subprocess.run(["bash", "-c", f". {DEV}\n{script}"], capture_output=True, text=True, check=False)


def test_help_names_every_command() -> None:
    (commands,) = re.findall(r"^    (demo \| .*)\) ;;$", DEV.read_text(), re.MULTILINE)
    told = re.findall(r"^  (\w+)", dev("help").stdout, re.MULTILINE)
    assert sorted(told) == sorted([*commands.split(" | "), "help"])


def test_unknown_command() -> None:
    done = dev("dmeo")
    assert (done.returncode, done.stdout) == (2, "")
    assert "usage: ./dev COMMAND" in done.stderr


def test_build_wants_an_attribute() -> None:
    done = dev("build")
    assert done.returncode == 1
    assert "build what?" in done.stderr


def test_step_shows_what_failed_and_ends() -> None:
    """Also in the middle of a function, where bash's `set -e` is easily lost."""
    done = functions('work() { echo told; false; echo "gone on"; }; step "do some work" work; echo after')
    assert done.returncode == 1
    assert "do some work" in done.stderr
    assert "told\ndev: work failed with exit code 1" in done.stderr
    assert "gone on" not in done.stderr
    assert "after" not in done.stdout


def test_step_says_how_long_it_took() -> None:
    done = functions('work() { echo told; }; step "do some work" work; echo after')
    assert re.fullmatch(r"  do some work +\d+\.\d s\n", done.stderr)
    assert done.stdout == "after\n"


def test_what_was_started_ends_with_the_script() -> None:
    for last in ("true", "false", "kill -TERM $$; sleep 5"):
        traps = "trap at_exit EXIT; trap 'exit 143' TERM;"
        done = functions(f"{traps} sleep 1000 </dev/null >/dev/null 2>&1 & pids+=($!); echo $!; {last}")
        assert not running(int(done.stdout)), last


def test_clean_ends_only_the_daemon_that_it_started(tmp_path: Path) -> None:
    """A process id may by now be another program's."""
    # Not a child of this process: it would stay as a zombie, which is still there for `kill -0`.
    start = f"(exec -a 'daemon --pidfile {tmp_path}/daemon/pid' sleep 1000) </dev/null >/dev/null 2>&1 & echo $!"
    daemon = int(subprocess.run(["bash", "-c", start], capture_output=True, text=True, check=True).stdout)
    with subprocess.Popen(["sleep", "1000"]) as other:
        try:
            for name, pid in (("other", other.pid), ("daemon", daemon)):
                (tmp_path / name).mkdir()
                (tmp_path / name / "pid").write_text(f"{pid}\n")
                functions(f"end_daemon_of {tmp_path}/{name}")
            assert other.poll() is None
            assert not running(daemon)
        finally:
            other.kill()


def running(pid: int) -> bool:
    """Says whether a process still runs, a moment being granted."""
    for _ in range(600):
        state = Path(f"/proc/{pid}/stat")
        if not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return False
        time.sleep(0.1)
    return True


def test_ci_runs_lint_and_tests() -> None:
    lines = (ROOT / ".ci/run").read_text().splitlines()
    assert [line for line in lines if line.startswith("./dev")] == ["./dev lint", "./dev test", "./dev matrix"]
    assert "set -euo pipefail" in lines
