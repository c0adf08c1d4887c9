"""Ids and capabilities after random calls are those that the kernel gives a process which makes the same calls as root."""

import json
import os
import random
import subprocess
import sys
from typing import Any

import pytest

from dockertools_py.root.capabilities import ALL, Capabilities
from dockertools_py.root.identity import (
    ROOT,
    Identities,
    Identity,
    ask,
    change,
    check_group_count,
    execute,
    parse_groups,
)

CALLS = (
    "setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setfsuid", "setfsgid", "keepcaps", "capset",
)  # fmt: skip
NUMBERS = (0, 0, 0, 5, 5, 7, 1000, 0xFFFFFFFF)
SEQUENCES, LENGTH = 300, 12

_KERNEL = """
import ctypes, json, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
bound = int(next(l for l in open("/proc/self/status") if l.startswith("CapBnd")).split()[1], 16)

def state():
    lines = dict(line.split(":", 1) for line in open("/proc/thread-self/status"))
    ids = [[int(n) for n in lines[name].split()] for name in ("Uid", "Gid")]
    sets = [int(lines[name], 16) for name in ("CapEff", "CapPrm", "CapInh")]
    # A machine may lack some: what matters is whether all that there are, or which of them, are left.
    return [*ids, *sets, bound]

def call(name, a):
    if name == "keepcaps":
        return libc.prctl(8, a[0], 0, 0, 0)
    if name == "capset":
        e, p, i = (n & bound for n in a)
        data = struct.pack("=6I", e & 0xFFFFFFFF, p & 0xFFFFFFFF, i & 0xFFFFFFFF, e >> 32, p >> 32, i >> 32)
        return libc.syscall(CAPSET, struct.pack("=Ii", 0x20080522, 0), data)
    return libc.syscall(NUMBERS[name], *[ctypes.c_long(n) for n in a])

NUMBERS, CAPSET = json.loads(sys.argv[1]), int(sys.argv[2])
os.setgroups([])
for line in sys.stdin:
    reading, writing = os.pipe()
    if not os.fork():
        found = []
        for name, arguments in json.loads(line):
            result = call(name, arguments)
            found.append([-ctypes.get_errno() if result < 0 else result, *state()])
        os.write(writing, json.dumps(found).encode())
        os._exit(0)
    os.close(writing)
    print(open(reading).read(), flush=True)
    os.wait()
"""


def _sequence(r: random.Random) -> list[tuple[str, list[int]]]:
    made = []
    for _ in range(LENGTH):
        name = r.choice(CALLS)
        arguments = [r.choice(NUMBERS) for _ in range(3)]
        if name == "keepcaps":
            arguments = [r.randrange(2)]
        elif name == "capset":
            arguments = [r.choice((ALL, 0, 1 << 7, 1 << 6 | 1 << 7, r.getrandbits(41))) for _ in range(3)]
        made.append((name, arguments))
    return made


def _model(sequence: list[tuple[str, list[int]]], bound: int) -> list[list[Any]]:
    who = Identity(capabilities=Capabilities(bound, bound))
    found = []
    for name, arguments in sequence:
        result = 0
        try:
            if name == "keepcaps":
                who = who._replace(capabilities=who.capabilities._replace(kept=bool(arguments[0])))
            elif name == "capset":
                wanted = Capabilities(*(number & bound for number in arguments))
                who = who._replace(capabilities=who.capabilities.set(wanted))
            else:
                who, result = change(who, name, arguments)
        except OSError as error:
            result = -(error.errno or 0)
        found.append([result, list(who.user), list(who.group), *who.capabilities[:3], bound])
    return found


def test_as_the_kernel() -> None:
    from dockertools_py.root.machine import this_machine

    machine = this_machine()
    assert machine is not None
    r = random.Random(5)
    sequences = [_sequence(r) for _ in range(SEQUENCES)]
    numbers = json.dumps({name: machine.calls[name] for name in CALLS if name in machine.calls})
    done = subprocess.run(
        [sys.executable, "-B", "-I", "-c", _KERNEL, numbers, str(machine.calls["capset"])],
        input="".join(json.dumps(sequence) + "\n" for sequence in sequences),
        capture_output=True,
        text=True,
        check=True,
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == SEQUENCES
    refused = 0
    for sequence, expected in zip(sequences, answers, strict=True):
        found = _model(sequence, expected[0][-1])
        for call, one, other in zip(sequence, expected, found, strict=True):
            assert other == one, (sequence, call)
            refused += one[0] < 0
    assert SEQUENCES < refused < SEQUENCES * LENGTH


def test_an_execve() -> None:
    user, _ = change(ROOT, "setresuid", [1000, 1000, 1000])
    assert not user.capabilities.permitted
    plain = execute(user, None, None)
    assert (plain.user, plain.capabilities.effective) == ((1000, 1000, 1000, 1000), 0)
    root = execute(plain, 0, None)
    assert (root.user, root.capabilities.effective) == ((1000, 0, 0, 0), ALL)
    assert execute(ROOT, None, None) == ROOT
    assert execute(plain, None, 50).group == (0, 50, 50, 50)


def test_groups() -> None:
    assert parse_groups(b"\5\0\0\0\2\0\0\0") == (2, 5)
    check_group_count(ROOT, 65536)
    with pytest.raises(OSError, match="Invalid argument"):
        check_group_count(ROOT, 65537)
    nobody, _ = change(ROOT, "setuid", [65534, 0, 0])
    with pytest.raises(PermissionError):
        check_group_count(nobody, 0)
    assert [ask(nobody, call) for call in ("getuid", "geteuid", "getgid", "getegid")] == [65534, 65534, 0, 0]


def test_children_are_as_their_parents() -> None:
    identities = Identities()
    me = os.getpid()
    identities.set(me, ROOT._replace(groups=(3,)))
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.read(reading, 1)
        os._exit(0)
    identities.born(child)
    assert identities.of(child).groups == (3,)
    identities.set(child, ROOT)
    identities.born(child, me)  # told once more, by its parent's stop: it is somebody else by now
    assert identities.of(child) == ROOT
    os.write(writing, b".")
    os.waitpid(child, 0)
    identities.gone(child)
    identities.born(child)
    assert identities.of(child) == ROOT
    os.close(reading)
    os.close(writing)
