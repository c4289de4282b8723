"""Which state may follow which: of designs and of jobs."""

from typing import get_args

from model_discovery.design_tree.faults import InvalidTransition
from model_discovery.design_tree.rows import CampaignState, JobKind, JobState, Origin, Status

STATUSES: tuple[Status, ...] = get_args(Status)
ORIGINS: tuple[Origin, ...] = get_args(Origin)
JOB_STATES: tuple[JobState, ...] = get_args(JobState)
JOB_KINDS: tuple[JobKind, ...] = get_args(JobKind)
CAMPAIGN_STATES: tuple[CampaignState, ...] = get_args(CampaignState)

# ``untrainable -> verified``: a run with another seed may train where the first one diverged, or was stopped.
NEXT_STATUS: dict[Status, frozenset[Status]] = {
    "proposed": frozenset({"rejected", "implementing"}),
    "rejected": frozenset(),
    "implementing": frozenset({"abandoned", "valid"}),
    "abandoned": frozenset(),
    "valid": frozenset({"verified", "stopped", "untrainable"}),
    "verified": frozenset(),
    "stopped": frozenset({"verified"}),
    "untrainable": frozenset({"verified"}),
}
# Only evidence makes these, so no design enters with them.
EARNED: frozenset[Status] = frozenset({"verified", "stopped", "untrainable"})

# A running job may start again: the process that ran it before was killed.
NEXT_JOB_STATE: dict[JobState, frozenset[JobState]] = {
    "queued": frozenset({"running", "done", "failed", "set_aside"}),
    "running": frozenset({"running", "queued", "done", "failed", "set_aside"}),
    "done": frozenset({"applied"}),
    "failed": frozenset({"applied"}),
    "set_aside": frozenset({"applied"}),
    "applied": frozenset(),
}
LOSSES_BEFORE_SET_ASIDE = 2


def check_entry(name: str, status: Status, origin: Origin) -> None:
    """Refuse a design that would enter with a status it has to earn, or a seed design that is not valid."""
    if status not in STATUSES or origin not in ORIGINS:
        raise InvalidTransition(f"design {name!r}: no status {status!r} or origin {origin!r}")
    if status in EARNED or (origin == "seed" and status != "valid"):
        raise InvalidTransition(f"design {name!r} of origin {origin} cannot enter the tree as {status}")


def check_status(name: str, old: Status, new: Status) -> None:
    """Refuse a change of status that the table does not allow; the same status again changes nothing."""
    if new not in STATUSES:
        raise InvalidTransition(f"design {name!r}: no status {new!r}")
    if new != old and new not in NEXT_STATUS[old]:
        raise InvalidTransition(f"design {name!r} cannot go from {old} to {new}")


def check_job_state(number: int, old: JobState, new: JobState) -> None:
    """Refuse a change of a job's state that the table does not allow."""
    if new not in NEXT_JOB_STATE[old]:
        raise InvalidTransition(f"job {number} cannot go from {old} to {new}")
