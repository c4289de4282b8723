"""What the server measures of a running child, from outside: memory, threads, processor time, files."""

import os
import time
from pathlib import Path

from model_discovery.sandbox.confine import MB, proc_sizes
from model_discovery.sandbox.folder import folder_size, listing, unlinked_bytes
from model_discovery.sandbox.outcome import Limits, Status

MAX_FILES = 5_000  # new files in the call's folder
MAX_THREADS = 64  # beyond these it is a thread bomb, whatever it means to do
_DISK_SECONDS = 0.1  # between two looks at the folder
_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")

Excess = tuple[Status, str]


class Watch:
    """Compares one child with its limits.

    Parameters
    ----------
    pid
        The child.
    limits
        Its limits, `memory_mb` resolved.
    folder
        Where it may write; what lies there already is not counted.
    threads
        Threads it was told to use.
    programs
        Whether it may start processes; they then count together with it.
    """

    def __init__(
        self, pid: int, limits: Limits, folder: str, threads: int, *, programs: bool = False
    ) -> None:
        self._pid = pid
        self._entry = str(pid)  # in /proc, of a thread that lives
        self._limits = limits
        self._programs = programs
        self._folder = folder
        self._max_threads = max(MAX_THREADS, 4 * threads)
        self._memory_before = _memory(proc_sizes(os.getpid()))
        self._before = folder_size(folder, MAX_FILES * 50)
        self._next_disk = time.monotonic() + _DISK_SECONDS
        self.started = time.monotonic()

    @property
    def wall_seconds(self) -> float:
        return time.monotonic() - self.started

    def excess(self) -> Excess | None:
        """The first limit that the child is above, and a line that says so."""
        if self.wall_seconds > self._limits.wall_seconds:
            return "timeout", f"ran longer than {self._limits.wall_seconds:g} s"
        excess = self._process_excess() or self._cpu_excess()
        return excess or (self.disk_excess() if time.monotonic() >= self._next_disk else None)

    def _process_excess(self) -> Excess | None:
        sizes = proc_sizes(self._entry)
        if "VmSize" not in sizes:  # its main thread has left, others may go on
            self._entry = _surviving_thread(self._pid)
            sizes = proc_sizes(self._entry)
        started = descendants(self._pid)
        if started and not self._programs:
            return "fork", "started another process"
        all_sizes = [sizes, *(proc_sizes(pid) for pid in started)]
        limit = self._limits.memory_mb
        if limit is not None and sum(map(_memory, all_sizes)) - self._memory_before > limit * MB:
            return "memory", f"used more than {limit} MB of memory"
        if sum(one.get("Threads", 0) for one in all_sizes) > self._max_threads:
            return "fork", f"started more than {self._max_threads} threads"
        return None

    def _cpu_excess(self) -> Excess | None:
        limit = self._limits.cpu_seconds
        pids = [self._pid, *(descendants(self._pid) if self._programs else ())]
        if limit is not None and sum(map(cpu_seconds, pids)) > limit:
            return "timeout", f"used more than {limit:g} s of processor time"
        return None

    def disk_excess(self, *, ended: bool = False) -> Excess | None:
        """The limit of its folder that it is above; asked a last time once it has ended."""
        began = time.monotonic()
        largest = self._limits.file_mb * MB
        held = folder_size(self._folder, self._before.files + MAX_FILES)
        bytes_now = held.bytes + (0 if ended else unlinked_bytes(self._entry, self._folder, largest))
        took = time.monotonic() - began
        self._next_disk = time.monotonic() + max(_DISK_SECONDS, 10 * took)
        if held.too_deep:
            return "disk", "made folders too deep to be looked into"
        if bytes_now - self._before.bytes > largest:
            return "disk", f"wrote more than {self._limits.file_mb} MB"
        if held.files - self._before.files >= MAX_FILES:
            return "disk", f"made {MAX_FILES:,} files or more"
        return None


def _memory(sizes: dict[str, int]) -> int:
    return sum(sizes.get(name, 0) for name in ("RssAnon", "RssShmem", "VmSwap", "VmPTE", "HugetlbPages"))


def _surviving_thread(pid: int) -> str:
    """The /proc entry of the first thread that lives; the process's own when there is none."""
    entries = [f"{pid}/task/{thread.name}" for thread in listing(f"/proc/{pid}/task")]
    return next((entry for entry in entries if "VmSize" in proc_sizes(entry)), str(pid))


def cpu_seconds(pid: int) -> float:
    """Of all its threads and the processes it has collected so far; 0 once the process is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(field) for field in fields[11:15]) / _CLOCK_TICKS


def descendants(pid: int) -> list[int]:
    """The processes that any thread of the process started, and what those started."""
    found = [child for thread in listing(f"/proc/{pid}/task") for child in _children_of(pid, thread.name)]
    return found + [one for child in found for one in descendants(child)]


def _children_of(pid: int, thread: str) -> list[int]:
    try:
        return [int(number) for number in Path(f"/proc/{pid}/task/{thread}/children").read_text().split()]
    except OSError:
        return []


def own_children() -> list[int]:
    """Child processes of this process, adopted orphans included."""
    pid = os.getpid()
    return _children_of(pid, str(pid))
