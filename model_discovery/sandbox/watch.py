"""What the server measures of a running child, from outside: memory, threads, processor time, files."""

import os
import stat
import time
from pathlib import Path

from model_discovery.sandbox.confine import MB, proc_sizes
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
    """

    def __init__(self, pid: int, limits: Limits, folder: str, threads: int) -> None:
        self._pid = pid
        self._limits = limits
        self._folder = folder
        self._max_threads = max(MAX_THREADS, 4 * threads)
        self._memory_before = _memory(proc_sizes(os.getpid()))
        self._bytes_before, self._files_before = folder_size(folder, MAX_FILES * 50)
        self._next_disk = time.monotonic() + _DISK_SECONDS
        self.started = time.monotonic()

    @property
    def wall_seconds(self) -> float:
        return time.monotonic() - self.started

    def excess(self) -> Excess | None:
        """The first limit that the child is above, and a line that says so."""
        if self.wall_seconds > self._limits.wall_seconds:
            return "timeout", f"ran longer than {self._limits.wall_seconds:g} s"
        return self._process_excess() or self._cpu_excess() or self._disk_excess()

    def _process_excess(self) -> Excess | None:
        sizes = proc_sizes(self._pid)
        limit = self._limits.memory_mb
        if limit is not None and _memory(sizes) - self._memory_before > limit * MB:
            return "memory", f"used more than {limit} MB of memory"
        if sizes.get("Threads", 0) > self._max_threads:
            return "fork", f"started more than {self._max_threads} threads"
        if has_children(self._pid):
            return "fork", "started another process"
        return None

    def _cpu_excess(self) -> Excess | None:
        limit = self._limits.cpu_seconds
        if limit is not None and cpu_seconds(self._pid) > limit:
            return "timeout", f"used more than {limit:g} s of processor time"
        return None

    def _disk_excess(self) -> Excess | None:
        if time.monotonic() < self._next_disk:
            return None
        began = time.monotonic()
        bytes_now, files_now = folder_size(self._folder, self._files_before + MAX_FILES)
        bytes_now += unlinked_bytes(self._pid)
        took = time.monotonic() - began
        self._next_disk = time.monotonic() + max(_DISK_SECONDS, 10 * took)
        if bytes_now - self._bytes_before > self._limits.file_mb * MB:
            return "disk", f"wrote more than {self._limits.file_mb} MB"
        if files_now - self._files_before >= MAX_FILES:
            return "disk", f"made {MAX_FILES:,} files or more"
        return None


def _memory(sizes: dict[str, int]) -> int:
    return sizes.get("RssAnon", 0) + sizes.get("RssShmem", 0) + sizes.get("VmSwap", 0)


def cpu_seconds(pid: int) -> float:
    """Processor time of all threads so far; 0 once the process is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS


def folder_size(folder: str, max_files: int) -> tuple[int, int]:
    """Bytes on disk and number of entries below a folder; stops counting at `max_files`."""
    total, count = 0, 0
    waiting = [folder]
    while waiting:
        try:
            entries = os.scandir(waiting.pop())
        except OSError:
            continue
        with entries:
            for entry in entries:
                count += 1
                if count >= max_files:
                    return total, count
                try:
                    status = entry.stat(follow_symlinks=False)
                except OSError:
                    continue
                total += status.st_blocks * 512
                if stat.S_ISDIR(status.st_mode):
                    waiting.append(entry.path)
    return total, count


def unlinked_bytes(pid: int) -> int:
    """Bytes on disk in files that the process has deleted but still holds open."""
    total = 0
    try:
        links = list(Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return 0
    for link in links:
        try:
            status = link.stat()
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode) and status.st_nlink == 0:
            total += status.st_blocks * 512
    return total


def has_children(pid: int) -> bool:
    """Whether any thread of the process has a child process."""
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return False
    return any(_children_of(pid, thread.name) for thread in threads)


def _children_of(pid: int, thread: str) -> list[int]:
    try:
        return [int(number) for number in Path(f"/proc/{pid}/task/{thread}/children").read_text().split()]
    except OSError:
        return []


def own_children() -> list[int]:
    """Child processes of this process, adopted orphans included."""
    pid = os.getpid()
    return _children_of(pid, str(pid))
