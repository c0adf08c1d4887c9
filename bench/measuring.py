"""Running whole processes and looking at what they cost."""

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Cost:
    """Wall and CPU seconds of a process and its children, the largest one's memory in MB, seconds to the first byte."""

    wall: float
    cpu: float
    memory: float
    first_byte: float


@dataclass
class Case:
    """One way to do something: a command, and what to do before each run of it."""

    name: str
    command: Sequence[str]
    environment: dict[str, str] = field(default_factory=dict)
    before: Callable[[], None] = lambda: None
    costs: list[Cost] = field(default_factory=list)

    def run(self) -> None:
        """Once more; its output is read through a pipe and thrown away, as a client would read it."""
        self.before()
        started = time.perf_counter()
        process = subprocess.Popen(self.command, env=os.environ | self.environment, stdout=subprocess.PIPE)
        assert process.stdout
        first = 0.0
        while process.stdout.read1(1 << 20):
            first = first or time.perf_counter() - started
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{self.name}: {' '.join(self.command)} ended with {process.returncode}")
        wall = time.perf_counter() - started
        self.costs.append(Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, first))

    def median(self, what: str) -> float:
        """Of `wall`, `cpu`, `memory` or `first_byte`."""
        return statistics.median(getattr(cost, what) for cost in self.costs)


def alternate(cases: Sequence[Case], times: int) -> None:
    """Run the cases in turns, so that what else the machine does hits all of them alike."""
    for _ in range(times):
        for case in cases:
            case.run()
