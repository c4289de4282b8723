"""Whatever the order of starts, ends and losses: no job is lost, none is applied twice."""

from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule
from tree_makers import DECISION, child, make_campaign

from model_discovery.design_tree import AlreadyApplied, DesignTree, InvalidTransition
from model_discovery.design_tree.status import (
    EARNED,
    JOB_STATES,
    NEXT_JOB_STATE,
    NEXT_STATUS,
    ORIGINS,
    STATUSES,
    check_entry,
    check_job_state,
    check_status,
)


class Jobs(RuleBasedStateMachine):
    """The tree beside the simplest possible model of it."""

    jobs = Bundle("jobs")

    def __init__(self) -> None:
        super().__init__()
        self.tree = DesignTree("sqlite://")
        self.campaign = make_campaign(self.tree)
        self.states: dict[int, str] = {}
        self.losses: Counter[int] = Counter()
        self.applied: Counter[int] = Counter()

    def teardown(self) -> None:
        self.tree.close()

    @rule(target=jobs)
    def submit(self) -> int:
        job = self.tree.submit_job(self.campaign.id, "design", {"n": len(self.states)}, DECISION)
        assert job.number == len(self.states)
        self.states[job.id] = "queued"
        return job.id

    @rule(job=jobs)
    def start(self, job: int) -> None:
        if self.states[job] in ("queued", "running"):
            self.tree.start_job(job, "worker")
            self.states[job] = "running"
        else:
            with pytest.raises(InvalidTransition):
                self.tree.start_job(job, "worker")

    @rule(job=jobs, state=st.sampled_from(["done", "failed"]))
    def finish(self, job: int, state: str) -> None:
        def finish() -> None:
            result = {"job": job} if state == "done" else None
            self.tree.finish_job(job, state=state, result=result, error="", seconds=0.0)  # type: ignore[arg-type]

        if self.states[job] in ("queued", "running"):
            finish()
            self.states[job] = state
        else:
            with pytest.raises(InvalidTransition):
                finish()

    @rule(job=jobs)
    def lose(self, job: int) -> None:
        if self.states[job] not in ("queued", "running"):
            with pytest.raises(InvalidTransition):
                self.tree.lose_job(job, "killed")
            return
        self.losses[job] += 1
        self.states[job] = "queued" if self.losses[job] < 2 else "set_aside"
        assert self.tree.lose_job(job, "killed").state == self.states[job]

    @rule(job=jobs, good=st.booleans())
    def apply(self, job: int, good: bool) -> None:
        """With an event that is no JSON, all of it is refused."""

        def apply() -> None:
            event = ("applied", {"job": job if good else float("nan")})
            self.tree.apply_job(job, design=child(f"d{job}"), event=event)

        state = self.states[job]
        if state in ("done", "failed", "set_aside"):
            if good:
                apply()
                self.states[job] = "applied"
                self.applied[job] += 1
            else:
                with pytest.raises(ValueError, match="nan"):
                    apply()
        else:
            with pytest.raises(AlreadyApplied if state == "applied" else InvalidTransition):
                apply()

    @invariant()
    def tree_and_model_agree(self) -> None:
        assert {job.id: job.state for job in self.tree.jobs(self.campaign.id)} == self.states
        assert self.tree.job_counts(self.campaign.id) == Counter(self.states.values())
        assert Counter(row.data["job"] for row in self.tree.events(self.campaign.id)) == self.applied
        names = [row.name for row in self.tree.designs(self.campaign.id)]
        assert sorted(names) == sorted(f"d{job}" for job in self.applied)
        assert all(count == 1 for count in self.applied.values())


TestJobs = Jobs.TestCase
TestJobs.settings = settings(max_examples=25, stateful_step_count=25, deadline=None, derandomize=True)


# -- the tables of what may follow what


@pytest.mark.parametrize("old", JOB_STATES)
@pytest.mark.parametrize("new", JOB_STATES)
def test_job_states(old: str, new: str) -> None:
    if new in NEXT_JOB_STATE[old]:  # type: ignore[index]
        check_job_state(0, old, new)  # type: ignore[arg-type]
    else:
        with pytest.raises(InvalidTransition):
            check_job_state(0, old, new)  # type: ignore[arg-type]


def test_every_job_can_end() -> None:
    """From each state the tree reaches `applied`, and from there nothing."""
    for state in JOB_STATES:
        reached, border = {state}, {state}
        while border := {new for old in border for new in NEXT_JOB_STATE[old]} - reached:
            reached |= border
        assert "applied" in reached
    assert not NEXT_JOB_STATE["applied"]


@pytest.mark.parametrize("old", STATUSES)
@pytest.mark.parametrize("new", STATUSES)
def test_design_statuses(old: str, new: str) -> None:
    if new == old or new in NEXT_STATUS[old]:  # type: ignore[index]
        check_status("x", old, new)  # type: ignore[arg-type]
    else:
        with pytest.raises(InvalidTransition):
            check_status("x", old, new)  # type: ignore[arg-type]


def test_ways_into_the_tree() -> None:
    for origin in ORIGINS:
        for status in STATUSES:
            if status in EARNED or (origin == "seed" and status != "valid"):
                with pytest.raises(InvalidTransition):
                    check_entry("x", status, origin)
            else:
                check_entry("x", status, origin)
    with pytest.raises(InvalidTransition, match="no status"):
        check_entry("x", "great", "genetic")  # type: ignore[arg-type]
    with pytest.raises(InvalidTransition, match="no status"):
        check_status("x", "valid", "great")  # type: ignore[arg-type]
