"""The filter does what its rules say, on both machines: its BPF is run by an interpreter that knows nothing of the rules."""

import platform
import re
import struct
from pathlib import Path

import pytest

from dockertools_py.root.filter import ALLOW, CREATING, ENOSYS, EPERM, NOTIFY, RULES, TRAP, When, assemble
from dockertools_py.root.machine import AARCH64, MACHINES, X86_64, Machine, this_machine

ALL = tuple(MACHINES.values())
HEADERS = {"x86_64": "/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "aarch64": "/usr/include/asm-generic/unistd.h"}
NEWER_THAN_HEADERS = {
    "fchmodat2", "setxattrat", "getxattrat", "listxattrat", "removexattrat", "open_tree_attr",
}  # fmt: skip
"""Not in the headers of Debian 12 (Linux 6.1); the others must be."""


def interpret(code: bytes, number: int, arch: int, arguments: list[int]) -> int:
    """Run a filter as the kernel does (net/core/filter.c), for the instructions which seccomp allows and we use."""
    data = struct.pack("<iIQ6Q", number, arch, 0, *arguments)
    instructions = list(struct.iter_unpack("<HBBI", code))
    accumulator, at, steps = 0, 0, 0
    while True:
        operation, if_true, if_false, value = instructions[at]
        at, steps = at + 1, steps + 1
        assert steps <= len(instructions), "BPF only jumps forward"
        if operation == 0x20:
            assert value % 4 == 0
            (accumulator,) = struct.unpack_from("<I", data, value)
        elif operation == 0x15:
            at += if_true if accumulator == value else if_false
        elif operation == 0x45:
            at += if_true if accumulator & value else if_false
        else:
            assert operation == 0x06
            return int(value)


def expected(name: str, arguments: list[int]) -> int:
    rule = RULES.get(name, ALLOW)
    if isinstance(rule, When):
        return rule.then if arguments[rule.argument] & 0xFFFFFFFF & rule.mask else rule.otherwise
    return rule


@pytest.mark.parametrize("machine", ALL, ids=lambda machine: machine.name)
def test_every_call_and_every_bit_of_its_arguments(machine: Machine) -> None:
    code = assemble(machine, RULES)
    assert len(code) // 8 < 4096  # BPF_MAXINSNS
    names = {number: name for name, number in machine.calls.items()}
    seen = set()
    for number in (*range(1100), 5000, 1 << 29):
        name = names.get(number, "")
        for argument in range(6):
            for word in (0, *(1 << bit for bit in range(64)), (1 << 64) - 1):
                arguments = [0] * 6
                arguments[argument] = word
                answer = interpret(code, number, machine.audit_arch, arguments)
                assert answer == expected(name, arguments), (name or number, arguments)
                seen.add(answer)
            if not isinstance(RULES.get(name), When):
                break
    assert seen == {ALLOW, NOTIFY, TRAP, EPERM, ENOSYS}


@pytest.mark.parametrize("machine", ALL, ids=lambda machine: machine.name)
def test_another_architecture_is_handed_over(machine: Machine) -> None:
    code = assemble(machine, RULES)
    others = {other.audit_arch for other in ALL} - {machine.audit_arch} | {0x40000003, 0x40000028}  # i386, arm
    for arch in others:
        for number in (0, 1, 39, 83, 90):
            assert interpret(code, number, arch, [0] * 6) == NOTIFY
    assert interpret(code, 0x40000000 | 39, X86_64.audit_arch, [0] * 6) == NOTIFY  # x32


@pytest.mark.parametrize("machine", ALL, ids=lambda machine: machine.name)
def test_what_nix_forbids_is_trapped_and_nothing_else(machine: Machine) -> None:
    code = assemble(machine, RULES)
    calls = machine.calls
    trapped = set()
    for name, number in calls.items():
        for bits in ([0] * 6, [0o4000] * 6, [0o2000] * 6, [0o1777] * 6):
            if interpret(code, number, machine.audit_arch, list(bits)) == TRAP:
                trapped.add(name)
    assert trapped == {
        "chmod", "fchmod", "fchmodat", "fchmodat2", "setxattr", "lsetxattr", "fsetxattr", "setxattrat",
    } & set(calls)  # fmt: skip
    assert interpret(code, calls["fchmodat"], machine.audit_arch, [0, 0, 0o1777, 0o4000, 0, 0]) == NOTIFY


def test_creating_is_what_the_flags_of_linux_say() -> None:
    import os

    assert os.O_CREAT & CREATING
    assert os.O_TMPFILE & CREATING
    for harmless in (os.O_RDWR, os.O_TRUNC, os.O_DIRECTORY, os.O_PATH, os.O_CLOEXEC, os.O_APPEND, os.O_NOFOLLOW):
        assert not harmless & CREATING


@pytest.mark.parametrize("machine", ALL, ids=lambda machine: machine.name)
def test_numbers_are_those_of_the_headers(machine: Machine) -> None:
    text = Path(HEADERS[machine.name]).read_text()
    found = {name: int(number) for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)\n", text)}
    if machine is AARCH64:
        found |= {"newfstatat": found["fstatat"]}
    assert len(found) > 250
    compared = {name for name in machine.calls if name in found}
    assert {name: machine.calls[name] for name in compared} == {name: found[name] for name in compared}
    assert set(machine.calls) - compared <= NEWER_THAN_HEADERS
    assert len(set(machine.calls.values())) == len(machine.calls)
    assert {n for n in found if n in RULES} <= set(machine.calls), "a call of this machine that is not in its table"


def test_all_rules_are_for_calls_of_a_machine() -> None:
    assert set(RULES) <= {name for machine in ALL for name in machine.calls}


def test_registers_are_within_what_is_read() -> None:
    for machine in ALL:
        registers = machine.registers
        assert max(registers.number, registers.result, *registers.arguments) < registers.words
        assert len(set(registers.arguments)) == 6
        assert machine.stat.blocks + 8 <= machine.stat.length
    machine = this_machine()
    assert machine is not None
    assert machine.name == platform.machine()
