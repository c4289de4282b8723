"""The filter program, run by a small interpreter: it decides alike on both machines."""

import errno

import pytest

from model_discovery.sandbox import seccomp

PID = 4242
ALLOW = "allow"
THREAD = 0x3D0F00  # as the C library of most systems makes one
NUMBERS = {  # x86_64, aarch64
    "read": (0, 63),
    "openat": (257, 56),
    "socket": (41, 198),
    "clone": (56, 220),
    "clone3": (435, 435),
    "execve": (59, 221),
    "kill": (62, 129),
    "tgkill": (234, 131),
    "prctl": (157, 167),
    "fcntl": (72, 25),
    "prlimit64": (302, 261),
    "mount": (165, 40),
    "exit_group": (231, 94),
    "mmap": (9, 222),
    "ioctl": (16, 29),
    "newest": (470, 470),
}
CASES = [
    ("read", (0,), ALLOW),
    ("openat", (0, 0, 0o100), ALLOW),
    ("openat", (0, 0, 0o1000 | 0o1), ALLOW),
    ("openat", (0, 0, 0o1000), errno.EPERM),  # empties what it opens for reading
    ("mmap", (0, 4096, 3, 0x22), ALLOW),
    ("mmap", (0, 4096, 1, 0x01), ALLOW),
    ("mmap", (0, 4096, 3, 0x21), errno.ENOMEM),
    ("ioctl", (1, 0x5401), ALLOW),
    ("ioctl", (1, 0x5412), errno.EPERM),
    ("newest", (0,), errno.ENOSYS),
    ("exit_group", (0,), ALLOW),
    ("socket", (2,), errno.ENETDOWN),
    ("execve", (0,), errno.ECHILD),
    ("clone", (17,), errno.ECHILD),
    ("clone", (THREAD,), ALLOW),
    ("clone", (0x7D0F00,), ALLOW),  # musl
    ("clone", (THREAD & ~0x400,), errno.ECHILD),  # open files of its own
    ("clone3", (0,), errno.ENOSYS),
    ("kill", (PID, 9), ALLOW),
    ("kill", (1, 9), errno.EPERM),
    ("kill", (2**32 - 1, 9), errno.EPERM),
    ("tgkill", (PID, PID), ALLOW),
    ("tgkill", (1, 1), errno.EPERM),
    ("prctl", (15, 0), ALLOW),
    ("prctl", (1, 0), errno.EPERM),
    ("prctl", (4, 0), errno.EPERM),
    ("fcntl", (3, 1), ALLOW),
    ("fcntl", (3, 8), errno.EPERM),
    ("fcntl", (3, 15), errno.EPERM),
    ("prlimit64", (0,), ALLOW),
    ("prlimit64", (PID + 1,), errno.EPERM),
    ("mount", (0,), errno.EPERM),
]


def decide(program, arch, number, arguments):
    """What the kernel's interpreter would answer."""
    words = {0: number, 4: arch}
    words |= {16 + 8 * index: value for index, value in enumerate(arguments)}
    accumulator, position = 0, 0
    while True:
        code, if_true, if_false, value = program[position]
        position += 1
        if code == 0x20:
            accumulator = words.get(value, 0)
        elif code == 0x54:
            accumulator &= value
        elif code == 0x06:
            return ALLOW if value == 0x7FFF0000 else value & 0xFFFF
        else:
            holds = {0x15: accumulator == value, 0x35: accumulator >= value}[code]
            position += if_true if holds else if_false


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize(("name", "arguments", "answer"), CASES)
def test_decisions(machine, name, arguments, answer):
    entry = seccomp._MACHINES[machine]
    program = seccomp.build(entry, PID)
    assert decide(program, entry.audit_arch, NUMBERS[name][entry.column], arguments) == answer


def test_other_call_tables_are_refused():
    entry = seccomp._MACHINES["x86_64"]
    program = seccomp.build(entry, PID)
    assert decide(program, 0x40000003, 3, ()) == errno.EPERM  # i386
    assert decide(program, entry.audit_arch, 0x40000000 | 41, ()) == errno.EPERM  # x32
    assert len(program) < 4096


def test_a_gpu_driver_may_map_shared_memory():
    entry = seccomp._MACHINES["x86_64"]
    program = seccomp.build(entry, PID, shared_memory=True)
    assert decide(program, entry.audit_arch, NUMBERS["mmap"][0], (0, 4096, 3, 0x21)) == ALLOW


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_programs_start_processes_but_no_namespaces(machine):
    entry = seccomp._MACHINES[machine]
    program = seccomp.build(entry, PID, programs=True)
    cases = [("execve", 0, ALLOW), ("clone", 17, ALLOW), ("clone", 0x4111, ALLOW), ("clone", THREAD, ALLOW)]
    cases += [("clone", 0x10000000 | 17, errno.ECHILD), ("clone", 0x8000 | 17, errno.ECHILD)]
    cases += [("socket", 2, errno.ENETDOWN), ("kill", 1, errno.EPERM), ("mount", 0, errno.EPERM)]
    for name, argument, answer in cases:
        assert decide(program, entry.audit_arch, NUMBERS[name][entry.column], (argument,)) == answer, name
