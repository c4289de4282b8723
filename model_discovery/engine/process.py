"""The controller's end of a worker: start it, talk to it, notice its death, end it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import Any

from model_discovery.engine.jobs import Json
from model_discovery.engine.places import Slot

# Torch, BLAS and tokenizers read these when they are loaded, so they are set before the process begins.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "RAYON_NUM_THREADS",
)
# Not multiprocessing's spawn: that would run the caller's script again in every worker.
_BOOT = (
    "import json, sys; descriptor, parent, threads, slot, sys.path[:] = json.loads(sys.argv[1]); "
    "from model_discovery.engine.worker import main; main(descriptor, parent, threads, slot)"
)
OUTPUT_TAIL = 4000


class WorkerGone(Exception):
    """The worker's end of the connection is closed."""


@dataclass(frozen=True, slots=True)
class End:
    """How a worker ended, and the last it wrote outside of jobs (why it could not start, for example)."""

    words: str
    output: str


class WorkerProcess:
    """One worker process in a process group of its own.

    Parameters
    ----------
    threads
        Value of `OMP_NUM_THREADS` and its relatives in the worker.
    slot
        Its GPU, the only one that `CUDA_VISIBLE_DEVICES` leaves it.
    """

    def __init__(self, threads: int, slot: Slot) -> None:
        self.slot = slot
        self.connection: Connection[Any, Any]
        self.connection, theirs = Pipe()
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the worker)
        try:
            self._process = self._start(theirs.fileno(), threads)
        except BaseException:
            self.connection.close()
            self._output.close()
            raise
        finally:
            theirs.close()
        # A pipe that a grandchild holds open says nothing about the worker's end; this does.
        self._pidfd = os.pidfd_open(self._process.pid) if hasattr(os, "pidfd_open") else None

    def _start(self, descriptor: int, threads: int) -> "subprocess.Popen[bytes]":
        environment = {
            "TOKENIZERS_PARALLELISM": "false",
            "PYTHONHASHSEED": "0",  # an order taken from a set is the same in every worker
            **os.environ,
            **dict.fromkeys(THREAD_VARIABLES, str(threads)),
        }
        if self.slot.card is not None:
            environment["CUDA_VISIBLE_DEVICES"] = self.slot.card.id
        start = json.dumps([descriptor, os.getpid(), threads, asdict(self.slot), sys.path])
        return subprocess.Popen(
            [sys.executable, "-c", _BOOT, start],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._output,
            pass_fds=[descriptor],
            process_group=0,  # Ctrl-C on the terminal is the controller's alone
        )

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    @property
    def waitables(self) -> list[Any]:
        """What `multiprocessing.connection.wait` shall watch for a word or the end of the worker."""
        return [self.connection] if self._pidfd is None else [self.connection, self._pidfd]

    def send(self, text: str) -> None:
        """Hand the worker a message; `WorkerGone` when it ended."""
        try:
            self.connection.send_bytes(text.encode())
        except OSError:
            raise WorkerGone from None

    def receive(self) -> list[Json]:
        """Messages that are there by now; `WorkerGone` when there is none and there will be none."""
        messages: list[Json] = []
        # Looked at first: what it said before it ended is in the pipe by then.
        gone = self.has_ended()
        try:
            while self.connection.poll(0):
                messages.append(json.loads(self.connection.recv_bytes()))
        except (EOFError, OSError):
            gone = True
        if gone and not messages:
            raise WorkerGone
        return messages

    def has_ended(self) -> bool:
        """Whether the process ended. It is not reaped here, so its number stays its own until `end`."""
        if self._pidfd is None:
            return self._process.poll() is not None
        return bool(wait([self._pidfd], 0))

    def hang_up(self) -> None:
        """Close the connection: an idle worker closes its resources and exits."""
        self.connection.close()

    def end(self) -> "End":
        """Kill the worker and the rest of its process group, reap it, and say in words how it ended."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        code = self._process.wait()
        self.connection.close()
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None
        with self._output as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - OUTPUT_TAIL))
            output = file.read().decode("utf-8", "replace")
        return End(f"(process {self.pid}) {_in_words(code)}", output)


def _in_words(code: int) -> str:
    if code >= 0:
        return f"exited with status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    likely = " (out of memory, or killed by hand)" if -code == signal.SIGKILL else ""
    return f"was killed by {name}{likely}"


def wait_until_ended(workers: list[WorkerProcess], seconds: float) -> None:
    """Wait, at most so long, until all of these workers have ended."""
    end = time.monotonic() + seconds
    running = workers
    while running := [worker for worker in running if not worker.has_ended()]:
        left = end - time.monotonic()
        if left <= 0:
            return
        descriptors = [item for worker in running for item in worker.waitables if isinstance(item, int)]
        if descriptors:
            wait(descriptors, left)
        else:
            time.sleep(0.01)  # a kernel without pidfds
