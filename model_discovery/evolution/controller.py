"""The loop: decide, reserve, submit, collect, record. One process, one thread, the only writer of the tree.

Results enter the tree in the order their jobs were submitted, and decision ``n`` is taken when all but the
last ``in_flight - 1`` jobs before it have entered. What a campaign does is therefore a function of its
configuration and its seed: not of the number of workers, of which was faster, or of when the process was
killed. A decision and its job are in the tree before the work starts, a result as soon as it is there, so
nothing finished is lost or counted twice.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from model_discovery.blocks.unit_tree import UnitTree
from model_discovery.config.agents import LLM_DESIGNERS
from model_discovery.design_tree import CampaignRow, DesignTree, JobRow, NewDecision
from model_discovery.engine import Job, JobProgress, JobResult
from model_discovery.errors import EXIT_FAILED, UserError
from model_discovery.evolution import recording, resume
from model_discovery.evolution.campaigns import current_config
from model_discovery.evolution.policy import Decision, DesignStep, RunStep, decide
from model_discovery.evolution.requests import RequestMaker, readdressed
from model_discovery.evolution.resume import Pending, Replay
from model_discovery.evolution.selectors import get_selector
from model_discovery.evolution.state import CampaignState
from model_discovery.evolution.stopping import StopFlag, why_finished

_WAIT_SECONDS = 1.0  # how often the clock is looked at while workers are busy


class Engine(Protocol):
    """Where jobs run; see `model_discovery.engine`."""

    def submit(self, job: Job) -> None: ...

    def wait(self, timeout: float | None) -> list[JobResult | JobProgress]: ...


@dataclass(frozen=True)
class WorkFunctions:
    """The two kinds of work by import path, ``module:function``."""

    design: str = "model_discovery.designers.work:run_design"
    verify: str = "model_discovery.verification.work:run_verify"


@dataclass(frozen=True)
class CampaignEvent:
    """Something happened, for a terminal to show.

    ``kind`` is ``started``, ``resumed``, ``taken_up`` (a job, again), ``submitted``, ``progress``,
    ``designed``, ``fruitless``, ``verified``, ``lost``, ``stopping``, ``stopped`` or ``finished``; ``data``
    is JSON.
    """

    kind: str
    data: dict[str, Any]


@dataclass(frozen=True)
class Ending:
    """How a sitting ended.

    Attributes
    ----------
    state
        ``finished``, or ``stopped`` when a resume would go on.
    reason
        In words.
    waiting
        Jobs without a result, which a resume takes up.
    """

    state: Literal["finished", "stopped"]
    reason: str
    waiting: int
    lineage_hash: str


class Controller:
    """Runs one campaign until its budget is spent or it is told to stop.

    Parameters
    ----------
    tree, campaign
        Where the campaign lives; `begin_campaign` made it.
    engine
        Where jobs run. Closing it is the caller's: with ``kill`` when `Ending.waiting` is not 0.
    requests
        Makes the requests that workers get.
    folder
        Job artefacts go below ``folder / campaign / kind-number``.
    on_event
        Called in this thread with every `CampaignEvent`.
    stop
        Asks to stop; see `stop_on_signals`.
    clock
        Seconds; it only ever stops a campaign (``budget.wall_minutes``), it never changes a choice.
    """

    def __init__(
        self,
        tree: DesignTree,
        campaign: CampaignRow,
        engine: Engine,
        requests: RequestMaker,
        *,
        folder: Path,
        functions: WorkFunctions | None = None,
        on_event: Callable[[CampaignEvent], None] | None = None,
        stop: StopFlag | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.tree = tree
        self.campaign = campaign
        self.config = current_config(tree, campaign)
        self.state = CampaignState(self.config)
        self.stop = stop or StopFlag()
        self._engine = engine
        self._requests = requests
        self._folder = folder / campaign.name
        self._functions = functions or WorkFunctions()
        self._on_event = on_event or (lambda event: None)
        self._clock = clock
        self._selector = get_selector(self.config.selector)
        self._pending: deque[Pending] = deque()
        self._by_job: dict[int, Pending] = {}
        self._replay: Replay | None = None
        self._deadline: float | None = None
        self._number = 0
        self._said_stopping = False

    def run(self) -> Ending:
        """Go on until the budget is spent, or until told to stop.

        Raises
        ------
        UserError
            Another process has the campaign; the recipe is not the one of its earlier runs; the disk is
            full or the tree cannot be written; a worker met a fault of the machine. What was recorded stays,
            and a resume goes on from there.
        """
        with self.tree.campaign_lock(self.campaign.name):
            self._open()
            try:
                while self._advance():
                    pass
            except UserError:
                self._leave("stopped")
                raise
            except Exception:
                self._leave("failed")
                raise
            return self._close()

    # -- the loop

    def _advance(self) -> bool:
        """One step; False when nothing is left to do in this sitting."""
        self._look_at_clock()
        if self.stop.now:
            return False
        self._collect(0)
        if not self.stop.draining and len(self._pending) < self.config.in_flight:
            decision = decide(self.state, self._selector, self._number)
            if decision is not None:
                self._submit(decision)
                return True
        if not self._pending:
            return False
        if self._pending[0].finished:
            self._apply(self._pending.popleft())
        else:
            self._collect(_WAIT_SECONDS)
        return True

    def _look_at_clock(self) -> None:
        if self._deadline is not None and self._clock() >= self._deadline and not self.stop.draining:
            self.stop.drain(f"{self.config.budget.wall_minutes:g} minutes are over")
        if self.stop.draining and not self._said_stopping:
            self._said_stopping = True
            self._tell("stopping", {"reason": self.stop.reason, "in_flight": len(self._by_job)})

    def _submit(self, decision: Decision) -> None:
        """Write a decision with its job, then hand the job over."""
        step = decision.step
        if isinstance(step, RunStep):
            kind, request = "verify", self._requests.verify(self.state, step)
        else:
            kind, request = "design", self._requests.design(self.state, step, self._number)
        chosen = resume.chosen_of(self.state, step)
        row = self.tree.submit_job(
            self.campaign.id,
            "verify" if kind == "verify" else "design",
            request,
            NewDecision(kind, chosen, decision.candidates, dict(decision.scores), decision.reason),
        )
        resume.reserve(self.state, step)
        pending = Pending(row.number, step, row, finished=False)
        self._pending.append(pending)
        self._number += 1
        self._hand_over(pending)
        self._tell("submitted", {"job": row.number, "kind": kind, "reason": decision.reason, **chosen})

    def _hand_over(self, pending: Pending) -> None:
        row = pending.job
        assert row is not None
        folder = self._folder / f"{row.kind}-{row.number}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"Cannot make the folder {folder}: {error.strerror}.",
                hint="free some space or choose another place with CKPT_DIR, then resume",
                exit_code=1,
            ) from None
        function = self._functions.verify if row.kind == "verify" else self._functions.design
        waits = isinstance(pending.step, DesignStep) and pending.step.designer in LLM_DESIGNERS
        self._by_job[row.id] = pending
        request = readdressed(row.request, self.config.agents)
        self._engine.submit(Job(row.id, function, request, folder, waits=waits))

    def _collect(self, timeout: float) -> None:
        """Keep whatever workers have finished, at once and in any order."""
        refused: UserError | None = None
        for message in self._engine.wait(timeout):
            pending = self._by_job.get(message.id)
            if pending is None:
                continue
            if isinstance(message, JobProgress):
                self._tell("progress", {"job": pending.number, **message.fields})
            elif message.status == "refused":
                refused = refused or self._refusal(pending, message.error)
            else:
                self._keep(pending, message)
        if refused is not None:
            raise refused

    def _refusal(self, pending: Pending, error: str) -> UserError:
        """A worker met what only the reader can mend: no result of the design, which waits for a resume."""
        assert pending.job is not None
        return UserError(
            f"Job {pending.number} ({pending.job.kind}) could not be done: {error}",
            hint=f"mend that, then go on with --resume {self.campaign.name}; it counts as no result",
            exit_code=EXIT_FAILED,
        )

    def _keep(self, pending: Pending, result: JobResult) -> None:
        row = pending.job
        assert row is not None
        del self._by_job[row.id]
        if result.status == "lost":
            self._lost(pending, result.error)
            return
        value, error = result.value, result.error or ""
        if result.status == "done" and value is not None:
            try:
                self.tree.finish_job(row.id, state="done", result=value, error="", seconds=result.seconds)
            except ValueError as problem:  # a number in it is NaN or infinite
                value, error = None, f"unusable result: {problem}"
        else:
            value = None
        if value is None:
            self.tree.finish_job(row.id, state="failed", result=None, error=error, seconds=result.seconds)
        pending.finished, pending.result, pending.error = True, value, error
        self._tell("kept", {"job": pending.number, "failed": value is None, "seconds": result.seconds})

    def _lost(self, pending: Pending, error: str) -> None:
        """A worker died with the job: once more, then set it aside."""
        assert pending.job is not None
        row: JobRow = self.tree.lose_job(pending.job.id, error or "the worker died")
        aside = row.state == "set_aside"
        self._tell("lost", {"job": row.number, "error": row.error, "set_aside": aside})
        if aside:
            pending.finished, pending.error = True, f"set aside: it took two workers with it ({row.error})"
        else:
            self._hand_over(pending)

    # -- results

    def _apply(self, pending: Pending) -> None:
        """Bring the oldest result into tree and state."""
        if pending.job is None:
            assert self._replay is not None
            self._replay.settle(pending)
        elif isinstance(pending.step, RunStep):
            self._apply_run(pending, pending.step, pending.job)
        else:
            self._apply_design(pending, pending.step, pending.job)

    def _apply_run(self, pending: Pending, step: RunStep, job: JobRow) -> None:
        design, scale = self.state.designs[step.design], self.state.scales[step.scale]
        new = recording.new_verification(
            design.id, scale, self._requests.recipe.hash, step.seed, pending.result, pending.error
        )
        run = recording.run_of(new, step.scale)
        status = self.state.status_after(design, run)
        data = {
            "job": job.number, "design": design.name, "scale": scale, "seed": step.seed, "status": new.status,
            "loss": run.loss, "error": new.error, "seconds": job.seconds,
        }  # fmt: skip
        changed: Any = (design.id, status) if status != design.status else None
        self.tree.apply_job(job.id, verification=new, status=changed, event=("verified", data))
        self.state.settle_run(step.design, run)
        self._tell("verified", data)

    def _apply_design(self, pending: Pending, step: DesignStep, job: JobRow) -> None:
        new = recording.new_design(self.state, step, job, pending.result, pending.error)
        session = recording.session_of(step, new, pending.result)
        data: dict[str, Any] = {
            "job": job.number, "operator": step.operator, "designer": step.designer,
            "session": session.to_json(),
        }  # fmt: skip
        if isinstance(new, recording.Fruitless):
            data |= {"why": new.why, "failures": new.failures}
            self.tree.apply_job(job.id, event=("fruitless", data))
            resume.settle_session(self.state, step, job.number, session)
            self._tell("fruitless", data)
            return
        design = recording.remember(new, 0, self.state)
        prediction = design.prediction and design.prediction.model_dump(mode="json")
        data |= {
            "design": new.name, "family": design.family, "parents": [name for name, _ in new.parents],
            "title": design.title, "prediction": prediction,
        }  # fmt: skip
        applied = self.tree.apply_job(job.id, design=new, event=("designed", data))
        assert applied.design_id is not None
        design.id = applied.design_id
        self._requests.keep(design.id, UnitTree.model_validate(new.unit_tree))
        resume.settle_session(self.state, step, job.number, session)
        self.state.add_design(design)
        self._tell("designed", data)

    # -- beginning and end

    def _open(self) -> None:
        """State and pipeline from the tree; jobs without a result go to the engine again, in order."""
        resume.check_recipe(self.tree, self.campaign.id, self._requests.recipe.hash)
        self._replay = Replay(self.tree, self.campaign.id, self.config)
        self.state, self._pending = self._replay.state, self._replay.pending
        if absent := [name for name in self.config.seed_designs if name not in self.state.index]:
            raise UserError(
                f"The campaign '{self.campaign.name}' lacks its human designs {', '.join(absent)}.",
                hint="it was killed while it was begun: go on with it by resume_campaign",
            )
        self._number = self._pending[-1].number + 1 if self._pending else self.state.applied
        minutes = self.config.budget.wall_minutes
        self._deadline = self._clock() + 60 * minutes if minutes is not None else None
        kind = "resumed" if self._number else "started"
        self.tree.set_campaign_state(self.campaign.id, "running")
        unfinished = sum(not pending.finished for pending in self._pending)
        data = {"jobs": self._number, "unfinished": unfinished}
        self.tree.record_event(self.campaign.id, kind, data)
        self._tell(kind, data)
        for pending in self._pending:
            if not pending.finished:
                self._hand_over(pending)
                chosen = resume.chosen_of(self.state, pending.step)
                self._tell("taken_up", {"job": pending.number, **chosen})

    def _close(self) -> Ending:
        """Say how it ended, in the tree and to the caller."""
        state: Literal["finished", "stopped"] = "stopped" if self.stop.draining else "finished"
        reason = self.stop.reason or why_finished(self.state)
        waiting = sum(not pending.finished for pending in self._pending)
        lineage_hash = self.tree.lineage_hash(self.campaign.id)
        data = {"reason": reason, "waiting": waiting, "lineage_hash": lineage_hash}
        self.tree.record_event(self.campaign.id, state, data)
        self.tree.set_campaign_state(self.campaign.id, state)
        self._tell(state, data)
        return Ending(state, reason, waiting, lineage_hash)

    def _leave(self, state: Literal["stopped", "failed"]) -> None:
        """Say in the tree that the loop ended by an error, if the tree can still be told."""
        try:
            self.tree.set_campaign_state(self.campaign.id, state)
        except UserError:
            return  # the error on its way says the same of the tree

    def _tell(self, kind: str, data: dict[str, Any]) -> None:
        self._on_event(CampaignEvent(kind, data))
