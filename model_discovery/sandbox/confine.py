"""Everything a child does to itself before code that nobody has read runs in it."""

import os
import resource
import signal
import tempfile
from pathlib import Path

from model_discovery.sandbox import kernel, landlock, seccomp
from model_discovery.sandbox.outcome import Limits
from model_discovery.sandbox.spec import CallSpec, ServerSpec
from model_discovery.sandbox.view import DEVICES

MB = 1024 * 1024
REPORTING_ROOM = 64 * MB  # hard memory limit above the soft one: room to say that memory ran out
ADDRESS_SLACK = 4096 * MB  # reserved, untouched address space (thread stacks, allocator arenas)
OPEN_FILES = 256
# The child's own entry in /proc but its mounts and network, which are the machine's at level plain.
_OWN_ENTRY = tuple(
    f"/proc/self/{name}"
    for name in (
        *("auxv", "cgroup", "cmdline", "comm", "environ", "exe", "fd", "limits", "maps", "smaps"),
        *("smaps_rollup", "stat", "statm", "status"),
    )
)
# A GPU's driver looks at the process's threads too, and at its own settings.
_DRIVERS_STATE = ("/proc/self", "/proc/devices", "/proc/driver/nvidia")
# What libraries ask of the machine.
_MACHINE_STATE = (
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/filesystems",
    "/proc/version",
    "/proc/sys/vm/overcommit_memory",
    "/proc/sys/kernel/osrelease",
)


def confine(server: ServerSpec, call: CallSpec, channel_fd: int, output_fd: int, parent: int) -> None:
    """Cut the child off, innermost wall last: what a wall forbids is no longer needed by the next."""
    os.setsid()
    kernel.die_with_parent(parent)
    _place_descriptors(channel_fd, output_fd)
    _set_signals()
    Path("/proc/self/oom_score_adj").write_text("1000")  # if the machine runs out, this one goes first
    os.chdir(call.folder)
    os.environ.update(HOME=call.folder, TMPDIR=call.folder)
    tempfile.tempdir = call.folder  # it remembers what it found in the server
    _set_limits(call.limits, bounded_addresses=not server.devices)
    kernel.drop_privileges()
    if landlock.abi():
        landlock.restrict(_paths(server, call), network=bool(call.connect))
    if seccomp.supported() and not call.connect:
        seccomp.install(shared_memory=bool(server.devices), programs=call.programs)


def close_network(server: ServerSpec) -> None:
    """The last wall of a call that had connections to make: those it has stay, no other can be made."""
    seccomp.install(shared_memory=bool(server.devices), connected=True)


def standing_walls() -> tuple[str, ...]:
    """Names of the walls this kernel has for a child beside limits: ``landlock:ABI``, ``seccomp``."""
    version = landlock.abi()
    files = (f"landlock:{version}",) if version else ()
    return (*files, "seccomp") if seccomp.supported() else files


def _paths(server: ServerSpec, call: CallSpec) -> list[tuple[str, int]]:
    """What the child may open, with the rights on each."""
    own = _DRIVERS_STATE if server.devices else _OWN_ENTRY
    reading = (*server.readable, *call.readable, *own, *_MACHINE_STATE)
    system = landlock.RUN if call.programs else landlock.READ
    rules = [(path, system) for path in server.system]
    rules += [(path, landlock.READ) for path in reading]
    rules += [(path, landlock.DEVICE) for path in (*DEVICES, *server.devices)]
    return [*rules, (call.folder, landlock.WRITE)]


def _place_descriptors(channel_fd: int, output_fd: int) -> None:
    """0 is empty, 1 and 2 are captured, the channel stays, everything else is closed."""
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(output_fd, 1)
    os.dup2(output_fd, 2)
    os.closerange(3, channel_fd)
    os.closerange(channel_fd + 1, os.sysconf("SC_OPEN_MAX"))


def _set_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)


def _set_limits(limits: Limits, *, bounded_addresses: bool) -> None:
    sizes = proc_sizes(os.getpid())
    memory = (limits.memory_mb or default_memory_mb()) * MB
    data = sizes["VmData"] + memory
    _lower(resource.RLIMIT_DATA, data, data + REPORTING_ROOM)
    if bounded_addresses:  # a GPU driver reserves address space by the terabyte
        addresses = sizes["VmSize"] + memory + ADDRESS_SLACK
        _lower(resource.RLIMIT_AS, addresses, addresses + REPORTING_ROOM)
    if limits.cpu_seconds is not None:
        seconds = int(limits.cpu_seconds) + 1  # the server's watch is finer; this holds if it is late
        _lower(resource.RLIMIT_CPU, seconds, seconds + 1)
    _lower(resource.RLIMIT_FSIZE, limits.file_mb * MB, limits.file_mb * MB)
    _lower(resource.RLIMIT_CORE, 1, 1)  # 0 still feeds a program that collects core dumps, 1 does not
    _lower(resource.RLIMIT_NOFILE, OPEN_FILES, OPEN_FILES)


def _lower(limit: int, soft: int, hard: int) -> None:
    """Set a limit, or keep the machine's own where that is lower already."""
    _, ceiling = resource.getrlimit(limit)
    if ceiling != resource.RLIM_INFINITY:
        soft, hard = min(soft, ceiling), min(hard, ceiling)
    resource.setrlimit(limit, (soft, hard))


def default_memory_mb() -> int:
    """Three quarters of what the machine has available now, in MB."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return max(256, int(line.split()[1]) * 3 // 4 // 1024)
    return 2048


def proc_sizes(entry: int | str) -> dict[str, int]:
    """The sizes in ``/proc/ENTRY/status`` in bytes, by name, and ``Threads``; empty when it has ended.

    `entry` is a process, or ``PID/task/TID``. A thread that has left while others go on has no sizes.
    """
    sizes: dict[str, int] = {}
    try:
        text = Path(f"/proc/{entry}/status").read_text(errors="replace")
    except OSError:
        return sizes
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if value.endswith(" kB"):
            sizes[name] = int(value[:-3]) * 1024
        elif name == "Threads":
            sizes[name] = int(value)
    return sizes
