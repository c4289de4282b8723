"""One child from its fork to its report, as the server sees it."""

import os
import select
import signal
import socket
from contextlib import suppress
from typing import Any

from model_discovery.sandbox.folder import flatten
from model_discovery.sandbox.outcome import Status
from model_discovery.sandbox.spec import CallSpec, Report, pack
from model_discovery.sandbox.watch import Watch, own_children

KILL_ROUNDS = 200  # looks for orphans after a child has ended; each finds none unless something forks


class Running:
    """A forked child, its captured output and the socket its report goes to.

    Parameters
    ----------
    pid
        The child.
    call
        What it was asked to do, limits resolved.
    threads
        Threads it was told to use.
    output
        Read end of its stdout and stderr.
    report
        Descriptor of the report socket; its end from the other side means: kill it.
    """

    def __init__(self, pid: int, call: CallSpec, threads: int, output: int, report: int) -> None:
        self.pid = pid
        self.done = False
        self._watch = Watch(pid, call.limits, call.folder, threads, programs=call.programs)
        self._folder = call.folder
        self._output_fd = output
        self._output_limit = call.limits.output_kb * 1024
        self._output = bytearray()
        self._printed = 0
        self._report = socket.socket(fileno=report)
        self._report.setblocking(False)
        self._pending: memoryview | None = None
        self._killed: tuple[Status, str] | None = None
        self._pidfd = _pidfd_open(pid)
        os.set_blocking(output, False)

    @property
    def alive(self) -> bool:
        """Whether the child has not been collected yet."""
        return self._pending is None and not self.done

    def interests(self) -> list[tuple[int, int]]:
        """Descriptors to wait for, with their events."""
        if self._pending is not None:
            return [(self._report.fileno(), select.POLLOUT)]
        reading = [(self._output_fd, select.POLLIN)] if self._output_fd >= 0 else []
        if self._pidfd >= 0:
            reading.append((self._pidfd, select.POLLIN))
        if self._killed is None:
            reading.append((self._report.fileno(), select.POLLIN))
        return reading

    def step(self, others: set[int]) -> None:
        """Look at the child once: collect output, hold its limits, notice its end, send the report.

        `others` are the children of other calls, which outlive this one.
        """
        if self._pending is None:
            self._drain()
            ended = self._wait()
            if ended is None:
                self._hold_limits()
                return
            self._prepare_report(*ended, others=others)
        self._flush()

    def kill(self, status: Status, reason: str) -> None:
        """End the child now; the first reason is the one reported."""
        if self._killed is None:
            self._killed = (status, reason)
            for target in (os.kill, os.killpg):
                with suppress(ProcessLookupError, PermissionError):
                    target(self.pid, signal.SIGKILL)

    def _hold_limits(self) -> None:
        if self._killed is not None:
            return
        if self._caller_has_gone():
            self.kill("signal", "the caller ended the call")
            return
        excess = self._watch.excess()
        if excess is not None:
            self.kill(*excess)

    def _caller_has_gone(self) -> bool:
        try:
            return self._report.recv(1) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def _drain(self) -> None:
        while self._output_fd >= 0:
            try:
                data = os.read(self._output_fd, 1 << 16)
            except BlockingIOError:
                return
            if not data:
                self._close_output()
                return
            self._printed += len(data)
            self._output += data
            del self._output[: -self._output_limit or len(self._output)]
            if self._printed > self._output_limit:
                self.kill("output", f"printed more than {self._output_limit // 1024} kB")
                return  # what is still in the pipe is of no interest, and may never end

    def _close_output(self) -> None:
        os.close(self._output_fd)
        self._output_fd = -1

    def _wait(self) -> tuple[int, Any] | None:
        pid, status, usage = os.wait4(self.pid, os.WNOHANG)
        return (os.waitstatus_to_exitcode(status), usage) if pid else None

    def _prepare_report(self, code: int, usage: Any, *, others: set[int]) -> None:
        wall = self._watch.wall_seconds
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        kill_orphans(others)
        self._drain()
        self._look_at_folder()
        if self._output_fd >= 0:
            self._close_output()
        if self._pidfd >= 0:
            os.close(self._pidfd)
        killed, reason = self._killed or ("", "")
        report = Report(
            killed=killed,
            reason=reason,
            code=code,
            wall_seconds=wall,
            cpu_seconds=usage.ru_utime + usage.ru_stime,
            peak_memory_mb=usage.ru_maxrss / 1024 or None,
            output=self._output.decode(errors="replace"),
        )
        self._pending = memoryview(pack(report))

    def _look_at_folder(self) -> None:
        """Once more: it may have ended between two looks, and nothing may be left that cannot be removed."""
        excess = self._watch.disk_excess(ended=True)
        if excess is not None:
            self._killed = self._killed or excess
            flatten(self._folder)

    def _flush(self) -> None:
        while self._pending:
            try:
                sent = self._report.send(self._pending)
            except BlockingIOError:
                return
            except OSError:  # the caller is gone, nobody waits for the rest
                break
            self._pending = self._pending[sent:]
        self._report.close()
        self.done = True


def kill_orphans(keep: set[int]) -> bool:
    """Kill and collect every adopted process but those in `keep`; whether there was any."""
    found = False
    for _ in range(KILL_ROUNDS):
        orphans = [pid for pid in own_children() if pid not in keep]
        if not orphans:
            break
        found = True
        for pid in orphans:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        for pid in orphans:
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)
    return found


def _pidfd_open(pid: int) -> int:
    """A descriptor that becomes readable when the process ends, -1 where the kernel has none."""
    try:
        return os.pidfd_open(pid)
    except OSError:
        return -1
