"""Jobs: decided and queued in one transaction, finished in another, applied to the tree in a third."""

import time
from collections.abc import Iterable
from functools import cache
from typing import Any

from sqlalchemy import Connection, Update, bindparam, func, select, update

from model_discovery.design_tree.campaigns import add_event
from model_discovery.design_tree.designs import change_status, insert_design
from model_discovery.design_tree.evidence import insert_verification
from model_discovery.design_tree.faults import AlreadyApplied, UnknownRow, clean
from model_discovery.design_tree.rows import (
    Applied,
    JobKind,
    JobRow,
    JobState,
    Json,
    NewDecision,
    NewDesign,
    NewVerification,
    Status,
)
from model_discovery.design_tree.status import JOB_KINDS, LOSSES_BEFORE_SET_ASIDE, check_job_state
from model_discovery.design_tree.store import Store, columns, insert_row
from model_discovery.design_tree.tables import decision, job

_JOB = select(*columns(job, JobRow))
_STATE = select(
    job.c.campaign_id, job.c.number, job.c.state, job.c.losses, job.c.error, job.c.attempts
).where(job.c.id == bindparam("job_id"))
_NEXT_NUMBER = select(func.coalesce(func.max(job.c.number) + 1, 0)).where(
    job.c.campaign_id == bindparam("campaign_id")
)


class Jobs(Store):
    """Methods of `DesignTree` about jobs.

    ``queued -> running -> done | failed -> applied``. Until it is applied, a result is only in its job's row,
    where a campaign that was killed in between finds it. A job whose worker died goes back to ``queued``, the
    second time to ``set_aside``, which is applied like a failure.
    """

    def submit_job(self, campaign_id: int, kind: JobKind, request: Json, new: NewDecision) -> JobRow:
        """Record a decision and the job it leads to; the job's number is the next of the campaign."""
        if kind not in JOB_KINDS:
            raise ValueError(f"no kind of job {kind!r}")
        now = time.time()
        with self._write() as connection:
            number = int(connection.execute(_NEXT_NUMBER, {"campaign_id": campaign_id}).scalar_one())
            decided = _decision_values(campaign_id, number, new, now)
            values = _job_values(campaign_id, number, kind, request, now)
            values["decision_id"] = insert_row(connection, decision, decided)
            return JobRow(id=insert_row(connection, job, values), **values)

    def start_job(self, job_id: int, worker: str) -> None:
        """Say that a worker has the job. A running job may start again: who ran it before was killed."""
        with self._write() as connection:
            row = _state(connection, job_id, "running")
            _set(
                connection,
                job_id,
                state="running",
                worker=worker,
                started=time.time(),
                attempts=row.attempts + 1,
            )

    def finish_job(
        self, job_id: int, *, state: JobState, result: Json | None, error: str, seconds: float
    ) -> None:
        """Keep what a job came to, ``done`` or ``failed``, as soon as it is there."""
        if state not in ("done", "failed"):
            raise ValueError(f"a job finishes as done or failed, not as {state!r}")
        with self._write() as connection:
            _state(connection, job_id, state)
            _set(
                connection,
                job_id,
                state=state,
                result=result,
                error=clean(error),
                seconds=seconds,
                finished=time.time(),
            )

    def lose_job(self, job_id: int, error: str) -> JobRow:
        """A worker died with the job: queue it again, or set it aside when it is the second one.

        The errors of all losses stay in the job's ``error``, one a line.
        """
        with self._write() as connection:
            row = _state(connection, job_id, "set_aside")  # from queued or running
            losses = row.losses + 1
            lines = [*row.error.splitlines(), clean(error)]
            values: dict[str, Any] = {"losses": losses, "error": "\n".join(lines), "state": "queued"}
            if losses >= LOSSES_BEFORE_SET_ASIDE:
                values |= {"state": "set_aside", "finished": time.time()}
            _set(connection, job_id, **values)
            return JobRow(*connection.execute(_JOB.where(job.c.id == job_id)).one())

    def apply_job(
        self,
        job_id: int,
        *,
        design: NewDesign | None = None,
        verification: NewVerification | None = None,
        status: tuple[int, Status] | None = None,
        event: tuple[str, Json] | None = None,
    ) -> Applied:
        """Bring a finished job's result into the tree, all of it in one transaction, once.

        Parameters
        ----------
        design, verification
            What the job made.
        status
            ``(design id, new status)``.
        event
            ``(kind, data)`` of the timeline.

        Raises
        ------
        AlreadyApplied
            The second time.
        InvalidTransition
            When the job is not finished, or the design may not get this status.
        DuplicateDesign, DuplicateVerification
            When the tree has it already. Nothing is applied then; apply the job again without it.
        """
        now = time.time()
        with self._write() as connection:
            row = _state(connection, job_id, "applied")
            design_id = verification_id = None
            if design is not None:
                design_id = insert_design(connection, row.campaign_id, design, now).id
            if verification is not None:
                verification_id = insert_verification(connection, row.campaign_id, job_id, verification, now)
            if status is not None:
                change_status(connection, *status)
            if event is not None:
                add_event(connection, row.campaign_id, *event, now)
            _set(connection, job_id, state="applied")
        return Applied(design_id, verification_id)

    def jobs(self, campaign_id: int, states: Iterable[JobState] | None = None) -> list[JobRow]:
        """Jobs in the order of their numbers, of all states or of these."""
        query = _JOB.where(job.c.campaign_id == campaign_id).order_by(job.c.number)
        if states is not None:
            query = query.where(job.c.state.in_(list(states)))
        with self._read() as connection:
            return [JobRow(*row) for row in connection.execute(query)]

    def job(self, job_id: int) -> JobRow:
        """The job with this id."""
        with self._read() as connection:
            row = connection.execute(_JOB.where(job.c.id == job_id)).one_or_none()
        if row is None:
            raise UnknownRow(f"no job has the id {job_id}")
        return JobRow(*row)

    def job_counts(self, campaign_id: int) -> dict[JobState, int]:
        """How many jobs are in which state; states without any are absent."""
        query = (
            select(job.c.state, func.count()).where(job.c.campaign_id == campaign_id).group_by(job.c.state)
        )
        with self._read() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}


def _state(connection: Connection, job_id: int, new: JobState) -> Any:
    """The job as it is, after checking that it may become ``new``."""
    row = connection.execute(_STATE, {"job_id": job_id}).one_or_none()
    if row is None:
        raise UnknownRow(f"no job has the id {job_id}")
    if row.state == new == "applied":
        raise AlreadyApplied(f"the result of job {row.number} is in the tree already")
    check_job_state(row.number, row.state, new)
    return row


def _set(connection: Connection, job_id: int, **values: Any) -> None:
    changed = {f"new_{name}": value for name, value in values.items()}
    connection.execute(_change(tuple(values)), {"job_id": job_id, **changed})


@cache
def _change(names: tuple[str, ...]) -> Update:
    new = {name: bindparam(f"new_{name}", type_=job.c[name].type) for name in names}
    return update(job).where(job.c.id == bindparam("job_id")).values(new)


def _decision_values(campaign_id: int, number: int, new: NewDecision, now: float) -> dict[str, Any]:
    return {
        "campaign_id": campaign_id,
        "number": number,
        "kind": new.kind,
        "reason": clean(new.reason),
        "created": now,
        "chosen": new.chosen,
        "candidates": new.candidates,
        "scores": new.scores,
    }


def _job_values(campaign_id: int, number: int, kind: JobKind, request: Json, now: float) -> dict[str, Any]:
    return {
        "campaign_id": campaign_id,
        "number": number,
        "kind": kind,
        "state": "queued",
        "attempts": 0,
        "losses": 0,
        "worker": "",
        "error": "",
        "seconds": None,
        "created": now,
        "started": None,
        "finished": None,
        "request": request,
        "result": None,
    }
