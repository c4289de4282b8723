"""A campaign's state from its tree: the same in every respect as that of a process that never stopped.

Decisions are replayed against the results that had been applied when each was taken (``applied`` in its
choice), so work that was finished while a campaign drained is seen by the decision after the next, not by
the next. Designs that people added between two sittings enter when as many results have been applied as were
in the tree when they were added, on every replay at the same place.
"""

from collections import deque
from dataclasses import dataclass
from typing import Any

from model_discovery.config import CampaignConfig
from model_discovery.design_tree import (
    CampaignRow,
    DecisionRow,
    DesignRow,
    DesignTree,
    JobRow,
    NewDesign,
    VerificationRow,
)
from model_discovery.design_tree.rows import JobState
from model_discovery.errors import UserError
from model_discovery.evolution import recording
from model_discovery.evolution.policy import DesignStep, RunStep
from model_discovery.evolution.recording import family_of, run_of
from model_discovery.evolution.sessions import Session
from model_discovery.evolution.state import CampaignState, Design

ADDED = "added"
"""Kind of the event that goes with a design which a person added."""

UNAPPLIED: tuple[JobState, ...] = ("queued", "running", "done", "failed", "set_aside")
RUN_KEY = tuple[int, str, int]


@dataclass
class Pending:
    """A job that was submitted and whose result the state does not contain yet.

    ``job`` is None when the tree has its result already (it was drained) and only the state is behind.
    """

    number: int
    step: DesignStep | RunStep
    job: JobRow | None
    finished: bool
    result: dict[str, Any] | None = None
    error: str = ""


@dataclass(frozen=True)
class _Stored:
    """What a tree holds of a campaign, by the keys that replaying needs."""

    designs: dict[str, DesignRow]
    runs: dict[RUN_KEY, VerificationRow]
    made: dict[int, dict[str, Any]]
    sessions: dict[int, dict[str, Any]]
    added: tuple[dict[str, Any], ...]
    jobs: dict[int, JobRow]


class Replay:
    """Rebuilds state and pipeline of a campaign.

    Attributes
    ----------
    state
        As of the last decision.
    pending
        Jobs after that, in the order of submission.
    """

    def __init__(self, tree: DesignTree, campaign_id: int, config: CampaignConfig) -> None:
        self.state = CampaignState(config)
        self.pending: deque[Pending] = deque()
        self._tree = tree
        self._stored = _read(tree, campaign_id)
        self._added = deque(self._stored.added)
        for row in self._stored.designs.values():
            if row.origin == "seed":
                family = family_of(tree.unit_tree(row.id))
                self.state.add_design(_design(row, (), family))
        self._enter_added()
        for decision in tree.decisions(campaign_id):
            self._replay(decision)

    def _replay(self, decision: DecisionRow) -> None:
        while self.state.applied < decision.chosen["applied"]:
            self.settle(self.pending.popleft())
        step = step_from(self.state, decision)
        reserve(self.state, step)
        job = self._stored.jobs.get(decision.number)
        pending = Pending(decision.number, step, job, finished=job is None)
        if job is not None and job.state in ("done", "failed", "set_aside"):
            pending.finished, pending.result, pending.error = True, job.result, job.error
        self.pending.append(pending)

    def settle(self, pending: Pending) -> None:
        """Bring a result that the tree has into the state, and the designs added after it."""
        self._settle(pending)
        self._enter_added()

    def _enter_added(self) -> None:
        """What people added when as many results had been applied as the state has now."""
        while self._added and self._added[0]["applied"] <= self.state.applied:
            event = self._added.popleft()
            row = self._stored.designs[event["design"]]
            parents = tuple(self.state.index[parent.name] for parent in row.parents)
            design = _design(row, parents, family_of(self._tree.unit_tree(row.id)))
            design.title, design.prediction = recording.claim_of(event)
            self.state.add_design(design)

    def _settle(self, pending: Pending) -> None:
        step, state = pending.step, self.state
        if isinstance(step, RunStep):
            key = state.designs[step.design].id, state.scales[step.scale], step.seed
            state.settle_run(step.design, run_of(self._stored.runs[key], step.scale))
            return
        made = self._stored.made.get(pending.number)
        stored = {"designer": step.designer, "fruitful": made is not None}
        session = Session.model_validate(stored | self._stored.sessions.get(pending.number, {}))
        settle_session(state, step, pending.number, session)
        if made is not None:
            row = self._stored.designs[made["design"]]
            parents = tuple(state.index[parent.name] for parent in row.parents)
            design = _design(row, parents, made["family"])
            design.title, design.prediction = recording.claim_of(made)
            state.add_design(design)

    def settle_all(self) -> CampaignState:
        """The state with everything the tree has, in order; for looking at a campaign, not for going on."""
        while self.pending and self.pending[0].job is None:
            self.settle(self.pending.popleft())
        return self.state


def add_design(tree: DesignTree, campaign: CampaignRow, new: NewDesign) -> DesignRow:
    """Bring a design that a person made into a campaign that rests; the next sitting may run and choose it.

    Call it under `DesignTree.campaign_lock`: a campaign at work does not look for new designs.

    Raises
    ------
    DuplicateDesign
        The campaign has its name or its structure.
    UserError
        The campaign has no design of a parent's name.
    """
    unapplied = tree.jobs(campaign.id, states=UNAPPLIED)
    applied = len(tree.decisions(campaign.id)) - len(unapplied)
    words = new.proposal or {}
    claim = {"title": words.get("title"), "prediction": words.get("prediction")}
    return tree.add_design(campaign.id, new, event=(ADDED, {"design": new.name, "applied": applied, **claim}))


def load_state(tree: DesignTree, campaign_id: int, config: CampaignConfig) -> CampaignState:
    """A campaign's state for looking at it: everything that was applied."""
    return Replay(tree, campaign_id, config).settle_all()


def chosen_of(state: CampaignState, step: DesignStep | RunStep) -> dict[str, Any]:
    """A step as a decision stores it: by names, with the number of results it was taken on."""
    if isinstance(step, RunStep):
        names = {"design": state.designs[step.design].name, "scale": state.scales[step.scale]}
        return {**names, "seed": step.seed, "applied": state.applied}
    parents = [state.designs[index].name for index in step.parents]
    chosen: dict[str, Any] = {"operator": step.operator, "designer": step.designer, "parents": parents}
    if step.unfinished is not None:
        chosen["unfinished"] = step.unfinished
    return {**chosen, "applied": state.applied}


def step_from(state: CampaignState, decision: DecisionRow) -> DesignStep | RunStep:
    """The step a decision stored."""
    chosen = decision.chosen
    if decision.kind == "verify":
        return RunStep(state.index[chosen["design"]], state.scales.index(chosen["scale"]), chosen["seed"])
    parents = tuple(state.index[name] for name in chosen["parents"])
    return DesignStep(chosen["operator"], chosen["designer"], parents, chosen.get("unfinished"))


def reserve(state: CampaignState, step: DesignStep | RunStep) -> None:
    """Set the budget for a step aside."""
    if isinstance(step, RunStep):
        state.reserve_run(step.design, step.scale)
    else:
        state.reserve_design(step.operator, step.designer, step.parents, step.unfinished)


def settle_session(state: CampaignState, step: DesignStep, job: int, session: Session) -> None:
    """Bring what a design job left, its design aside, into the state."""
    state.settle_design(
        session, job=job, operator=step.operator, parents=step.parents, unfinished=step.unfinished
    )


def check_recipe(tree: DesignTree, campaign_id: int, recipe_hash: str) -> None:
    """Refuse to go on under another recipe than the runs that are there: they could not be compared."""
    runs = tree.verifications(campaign_id)
    others = {run.recipe_hash for run in runs if run.job_id is not None} - {recipe_hash}
    if others:
        raise UserError(
            f"This campaign's runs were made under the recipe {min(others)}, which is now {recipe_hash}.",
            hint="its data or this program's defaults have changed; restore them, or start a new campaign",
        )


def _read(tree: DesignTree, campaign_id: int) -> _Stored:
    runs, events = tree.verifications(campaign_id), tree.events(campaign_id)
    return _Stored(
        designs={row.name: row for row in tree.designs(campaign_id)},
        runs={(run.design_id, run.scale, run.seed): run for run in runs},
        made={event.data["job"]: event.data for event in events if event.kind == "designed"},
        sessions={
            event.data["job"]: event.data["session"]
            for event in events
            if event.kind in ("designed", "fruitless") and "session" in event.data
        },
        added=tuple(event.data for event in events if event.kind == ADDED),
        jobs={job.number: job for job in tree.jobs(campaign_id, states=UNAPPLIED)},
    )


def _design(row: DesignRow, parents: tuple[int, ...], family: str) -> Design:
    return Design(
        id=row.id, name=row.name, origin=row.origin, operator=row.operator,
        structure_hash=row.structure_hash or "", parents=parents, family=family,
    )  # fmt: skip
