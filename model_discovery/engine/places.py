"""How many workers a machine has room for: cores it may use, memory that is free."""

import os
from dataclasses import dataclass
from pathlib import Path

from model_discovery.errors import UserError

WORKER_BYTES = 1_200_000_000  # torch, a sandbox with torch, a small model in training
_MEMORY_FILES = (
    ("", "memory.max", "memory.current"),
    ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
)
CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Places:
    """A number of workers, and why."""

    workers: int
    reason: str


def choose_places(workers: int | None, *, cores: int | None = None, memory: int | None = None) -> Places:
    """As many workers as were asked for, else one a core, fewer when memory is short.

    Parameters
    ----------
    workers
        The wish; None leaves it to the machine.
    cores, memory
        What the machine has (memory in bytes); measured when None.
    """
    if workers is not None:
        if workers < 1:
            raise UserError(f"{workers} workers can do no work.", hint="one or more")
        return Places(workers, f"{_count(workers, 'worker')}, as asked for")
    cores = available_cores() if cores is None else cores
    memory = available_memory() if memory is None else memory
    fit = cores if memory is None else max(1, memory // WORKER_BYTES)
    if fit < cores:
        free = f"{(memory or 0) / 1e9:.1f} GB of memory are free, a worker needs {WORKER_BYTES / 1e9:.1f} GB"
        return Places(fit, f"{_count(fit, 'worker')} on {_count(cores, 'core')}: {free}")
    return Places(cores, f"{_count(cores, 'worker')}, one a core")


def available_cores() -> int:
    """Cores this process may use: its affinity, and the share of its container."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cgroup_cores()
    return cores if quota is None else max(1, min(cores, int(quota)))


def available_memory() -> int | None:
    """Bytes that can be used without swapping, here and in the container; None where nobody says."""
    free = [amount for amount in (_system_memory(), _cgroup_memory()) if amount is not None]
    return min(free) if free else None


def _system_memory() -> int | None:
    for line in _read(Path("/proc/meminfo")).splitlines():
        name, _, rest = line.partition(":")
        if name == "MemAvailable":
            return int(rest.split()[0]) * 1024
    return None


def _cgroup_cores() -> float | None:
    """The smallest CPU quota above this process, in cores."""
    quotas = []
    for folder in _cgroup_folders(""):
        words = _read(folder / "cpu.max").split()
        if len(words) == 2 and words[0] != "max":
            quotas.append(int(words[0]) / int(words[1]))
    for folder in _cgroup_folders("cpu"):
        quota, period = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
        if quota is not None and quota > 0 and period:
            quotas.append(quota / period)
    return min(quotas, default=None)


def _cgroup_memory() -> int | None:
    """The smallest room below a memory limit above this process, in bytes."""
    rooms = []
    names = (
        ("", "memory.max", "memory.current"),
        ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    )
    for controller, limit_name, used_name in names:
        for folder in _cgroup_folders(controller):
            limit, used = _number(folder / limit_name), _number(folder / used_name)
            if limit is not None and used is not None and limit < 1 << 60:
                cache = _statistic(folder / "memory.stat", "inactive_file")
                rooms.append(max(0, limit - used + cache))
    return min(rooms, default=None)


def _cgroup_folders(controller: str) -> list[Path]:
    """Folders of this process's group and of those above it; ``""`` is the unified hierarchy."""
    folders: list[Path] = []
    for line in _read(Path("/proc/self/cgroup")).splitlines():
        _, names, inside = line.split(":", 2)
        if controller in names.split(","):
            root = CGROUPS / controller
            path = Path(inside)
            folders += [root / part.relative_to("/") for part in (path, *path.parents)]
            # In a container the path of the host may not exist; the root is then the container's own group.
            folders.append(root)
    return list(dict.fromkeys(folders))


def _statistic(path: Path, name: str) -> int:
    for line in _read(path).splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return int(value)
    return 0


def _number(path: Path) -> int | None:
    text = _read(path).strip()
    return int(text) if text.lstrip("-").isdigit() else None


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
