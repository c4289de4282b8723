"""The engine of one machine: a few worker processes, started when the first job comes."""

import os
import time
from collections import deque
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path
from types import TracebackType
from typing import Self

from model_discovery.engine.jobs import Job, JobProgress, JobResult, Json
from model_discovery.engine.places import WORKER_BYTES, Slot, choose_places
from model_discovery.engine.process import OUTPUT_TAIL, End, WorkerGone, WorkerProcess, wait_until_ended
from model_discovery.engine.worker import LOG_NAME
from model_discovery.errors import EXIT_FAILED, UserError
from model_discovery.strict_json import dump_json

CLOSE_SECONDS = 5.0


@dataclass(slots=True)
class _Running:
    job: Job
    since: float


@dataclass
class _Pool:
    """Workers of one kind and the jobs that wait for them; ``members`` may hold some that have ended."""

    places: int
    slots: tuple[Slot, ...]
    queue: deque[tuple[Job, str]] = field(default_factory=deque)
    members: list[WorkerProcess] = field(default_factory=list)


class LocalEngine:
    """Runs jobs in worker processes; use it from one thread.

    Workers start with the first jobs and live until `close`. They never outlive this process, however it
    ends. The thread that starts workers has to live as long as they do.

    Parameters
    ----------
    workers
        How many jobs run at once; by default one a core this process may use, fewer when memory is short.
    threads
        Threads of torch in a worker, default 1: small models are fastest so, and sums of floats do not then
        depend on how many workers there are.
    worker_bytes, card_bytes
        What a job needs of the machine's memory and of a GPU's: decides how many run at once.
    waiting
        Workers besides these, without a GPU, for jobs with ``waits``. With 0 they take the others' places.

    Attributes
    ----------
    places
        How many jobs run at once.
    reason
        Why so many, in words.
    """

    def __init__(
        self,
        workers: int | None = None,
        threads: int | None = None,
        *,
        worker_bytes: int = WORKER_BYTES,
        card_bytes: int | None = None,
        waiting: int = 0,
    ) -> None:
        if threads is not None and threads < 1:
            raise UserError(f"{threads} threads can do no work.", hint="one or more")
        chosen = choose_places(workers, worker_bytes=worker_bytes, card_bytes=card_bytes)
        self.places = chosen.workers
        self.reason = chosen.reason
        self.threads = threads or 1
        self._computing = _Pool(chosen.workers, chosen.slots)
        self._waiting = _Pool(waiting, (Slot(),) * waiting) if waiting else self._computing
        self._pools = list({id(pool): pool for pool in (self._computing, self._waiting)}.values())
        self._workers: dict[WorkerProcess, _Running | None] = {}
        self._ready: list[JobResult | JobProgress] = []
        self._closed = False

    def submit(self, job: Job) -> None:
        """Queue a job; it starts at once when a place is free.

        Raises
        ------
        ValueError
            When the request is not JSON, or a job with this id is in the engine.
        """
        if self._closed:
            raise RuntimeError("the engine is closed")
        if job.id in self.running or any(job.id == queued.id for queued, _ in self._queued):
            raise ValueError(f"job {job.id} is in the engine already")
        message = {
            "function": job.function,
            "request": job.request,
            "folder": str(Path(job.folder).absolute()),
        }
        (self._waiting if job.waits else self._computing).queue.append((job, dump_json(message)))
        self._fill()

    @property
    def _queued(self) -> list[tuple[Job, str]]:
        return [entry for pool in self._pools for entry in pool.queue]

    @property
    def running(self) -> tuple[int, ...]:
        """Ids of the jobs that workers have."""
        return tuple(running.job.id for running in self._workers.values() if running is not None)

    @property
    def unfinished(self) -> int:
        """How many jobs are queued or running."""
        return len(self._queued) + len(self.running)

    def wait(self, timeout: float | None = None) -> list[JobResult | JobProgress]:
        """Wait until something happens, and say what.

        Parameters
        ----------
        timeout
            Seconds at most; 0 only looks, None waits as long as it takes. Without a job in the engine it
            returns at once.

        Returns
        -------
        Results and progress in the order they came; empty after the timeout. Every job gives one result.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while not self._ready and self.running:
            self._listen(None if end is None else max(0.0, end - time.monotonic()))
            if end is not None and time.monotonic() >= end:
                break
        found, self._ready = self._ready, []
        return found

    def cancel(self, job_id: int) -> bool:
        """Take a job back, killing its worker if it runs; no result of it comes. False: it is not here."""
        for pool in self._pools:
            if found := [entry for entry in pool.queue if entry[0].id == job_id]:
                pool.queue.remove(found[0])
                return True
        for worker, running in self._workers.items():
            if running is not None and running.job.id == job_id:
                del self._workers[worker]
                worker.end()
                self._ready = [item for item in self._ready if item.id != job_id]
                self._fill()
                return True
        return False

    def close(self, kill: bool = False) -> None:
        """End all workers; results that nobody waited for are gone.

        Idle workers are asked to close what they keep and get five seconds for it; workers with a job are
        killed, and with ``kill`` all are. Processes that a worker started end with it: those of its process
        group are killed, a sandbox dies with its parent.
        """
        self._closed = True
        for pool in self._pools:
            pool.queue.clear()
        workers, self._workers = self._workers, {}
        asked = [worker for worker, running in workers.items() if running is None and not kill]
        for worker in asked:
            worker.hang_up()
        wait_until_ended(asked, CLOSE_SECONDS)
        for worker in workers:
            worker.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(kill=error is not None)

    def _fill(self) -> None:
        """Give queued jobs to free places."""
        for pool in self._pools:
            while pool.queue and (worker := self._free_worker(pool)) is not None:
                self._hand_over(*pool.queue.popleft(), worker, pool)

    def _hand_over(self, job: Job, message: str, worker: WorkerProcess, pool: _Pool) -> None:
        is_new = worker not in self._workers
        self._workers[worker] = _Running(job, time.monotonic())
        try:
            worker.send(message)
        except WorkerGone:
            if is_new:
                self._lose(worker)
            else:  # it died between two jobs; this one has nothing to do with it
                pool.queue.appendleft((job, message))
                self._end(worker)

    def _free_worker(self, pool: _Pool) -> WorkerProcess | None:
        """One that has nothing to do, else a new one; None where all places are taken."""
        pool.members = [worker for worker in pool.members if worker in self._workers]
        if idle := [worker for worker in pool.members if self._workers[worker] is None]:
            return idle[0]
        if len(pool.members) >= pool.places:
            return None
        try:
            pool.members.append(worker := WorkerProcess(self.threads, _free_slot(pool)))
        except OSError as error:
            if self._workers:  # fewer at once, then
                return None
            raise UserError(
                f"Cannot start a worker process: {error.strerror}.",
                hint="free some memory, or raise the limit of processes",
                exit_code=EXIT_FAILED,
            ) from error
        return worker

    def _listen(self, timeout: float | None) -> None:
        """Wait once for any worker that has a job, and take in what it says."""
        busy = [worker for worker, running in self._workers.items() if running is not None]
        heard = {item: worker for worker in busy for item in worker.waitables}
        for worker in dict.fromkeys(heard[item] for item in wait(list(heard), timeout)):
            try:
                for message in worker.receive():
                    self._take(worker, message)
            except WorkerGone:
                self._lose(worker)
        self._fill()

    def _take(self, worker: WorkerProcess, message: Json) -> None:
        running = self._workers[worker]
        assert running is not None, "a worker spoke without having a job"
        if "progress" in message:
            self._ready.append(JobProgress(running.job.id, message["progress"]))
            return
        self._workers[worker] = None
        self._ready.append(JobResult(running.job.id, **message))

    def _lose(self, worker: WorkerProcess) -> None:
        """Its worker ended before the job did."""
        running = self._workers[worker]
        assert running is not None
        seconds = time.monotonic() - running.since
        end = self._end(worker)
        told = f"job {running.job.id} was lost: its worker {end.words}"
        evidence = _tail(running.job.folder / LOG_NAME) + end.output
        self._ready.append(JobResult(running.job.id, "lost", None, told, evidence, seconds))

    def _end(self, worker: WorkerProcess) -> End:
        # One that has just closed its connection is given a moment, so that its own end is what we see.
        wait_until_ended([worker], 1.0)
        del self._workers[worker]
        return worker.end()


def _free_slot(pool: _Pool) -> Slot:
    """The first slot that no living worker has; those of one GPU are alike."""
    free = list(pool.slots)
    for worker in pool.members:
        free.remove(worker.slot)
    return free[0]


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - OUTPUT_TAIL))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""
