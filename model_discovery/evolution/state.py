"""A campaign in memory: built once from the tree, then changed by one design or run at a time."""

import math
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from model_discovery.config import CampaignConfig
from model_discovery.designers.knowledge import Prediction
from model_discovery.evolution.budgets import Budgets
from model_discovery.evolution.evidence import Counts, Evidence, Flags, Floats, Grid, Indices
from model_discovery.evolution.fitness import Posterior, Variances, estimate_variances, fit
from model_discovery.evolution.rungs import RungLosses
from model_discovery.evolution.selectors import View
from model_discovery.evolution.sessions import Session, Sessions


@dataclass(frozen=True)
class Estimate:
    """A measured value and the standard error of the measurement (of windows or items, not of seeds)."""

    value: float
    stderr: float


@dataclass(frozen=True)
class Run:
    """One verification as the loop remembers it. What was not measured is None or absent."""

    scale: int
    seed: int
    status: str
    held_out: Estimate | None = None
    bits_per_byte: Estimate | None = None
    scores: dict[str, Estimate] = field(default_factory=dict)
    parameters: int | None = None
    non_embedding: int | None = None
    tokens: int | None = None
    held_out_curve: tuple[tuple[int, float], ...] = ()
    error: str = ""

    @property
    def loss(self) -> float | None:
        """Held-out nats per token of a run that ended well, else None."""
        if self.status != "ok" or self.held_out is None or not math.isfinite(self.held_out.value):
            return None
        return self.held_out.value


@dataclass
class Design:
    """A design as the loop remembers it: all but its unit tree."""

    id: int
    name: str
    origin: str
    operator: str | None
    structure_hash: str
    parents: tuple[int, ...]
    family: str
    title: str = ""
    prediction: Prediction | None = None
    status: str = "valid"
    runs: list[Run] = field(default_factory=list)
    children: list[int] = field(default_factory=list)

    @property
    def baseline(self) -> bool:
        """A human design."""
        return self.origin == "seed"


class CampaignState:
    """Designs, evidence and books of one campaign, by index: designs in the order they entered, scales
    upwards.

    The controller is the only one that changes it, and only by the five methods below, in an order that
    does not depend on the number of workers. Everything that is decided is a function of it.
    """

    def __init__(self, config: CampaignConfig) -> None:
        self.config = config
        self.scales = config.scales
        self.designs: list[Design] = []
        self.baselines: list[int] = []
        self.index: dict[str, int] = {}
        self.hashes: dict[str, int] = {}
        self.evidence = Evidence(len(self.scales))
        self.budgets = Budgets(config.budget.designs, config.budget.runs)
        self.operators: Counter[str] = Counter()
        self.designers: Counter[str] = Counter()
        self.sessions = Sessions()
        self.waiting: dict[int, None] = {}
        self.pending_first_runs = 0
        self.applied = 0
        self.since_best = 0
        self.rung_losses = RungLosses(config.ladder)
        self._best: float | None = None
        self._started = Grid(len(self.scales), np.int64)
        self._pending = Grid(len(self.scales), np.int64)
        self._failed = Grid(len(self.scales), np.bool_)
        self._facts = Grid(3, np.int64)  # baseline, uses, family
        self._families: dict[str, int] = {}
        self._family_sizes = Grid(1, np.int64)
        self._losses = 0
        self._next_variances = 1
        self._variances: Variances | None = None
        self._posterior: tuple[int, Posterior] | None = None

    # -- changing

    def add_design(self, design: Design) -> int:
        """A design enters, valid and not yet run; returns its index."""
        index = len(self.designs)
        self.designs.append(design)
        self.index[design.name] = index
        self.hashes[design.structure_hash] = index
        self.evidence.add_design()
        for grid in (self._started, self._pending, self._failed, self._facts):
            grid.append()
        if design.family not in self._families:
            self._families[design.family] = len(self._families)
            self._family_sizes.append()
        family = self._families[design.family]
        self._family_sizes.rows[family] += 1
        self._facts.rows[index] = (design.baseline, 0, family)
        if design.baseline:
            self.baselines.append(index)
        for parent in design.parents:
            self.designs[parent].children.append(index)
        self.waiting[index] = None
        return index

    def reserve_design(
        self, operator: str, designer: str, parents: tuple[int, ...], unfinished: int | None = None
    ) -> None:
        """A design job was submitted; ``unfinished`` is the job whose proposal it takes up again."""
        self.budgets.designs.reserve()
        self.operators[operator] += 1
        self.designers[designer] += 1
        if unfinished is not None:
            self.sessions.take_up(unfinished)
            return
        for parent in parents:
            self.uses[parent] += 1

    def settle_design(
        self,
        session: Session,
        *,
        job: int,
        operator: str,
        parents: tuple[int, ...],
        unfinished: int | None = None,
    ) -> None:
        """A design job's result was applied: it brought a design, or came to nothing.

        A session that the campaign's own limit ended says nothing about its designer, and is forgiven.
        """
        self.budgets.designs.settle(spent=session.fruitful)
        if not session.fruitful and not session.ended_by_campaign:
            self.budgets.fruitless.used += 1
        self.sessions.settle(session, job=job, operator=operator, parents=parents, unfinished=unfinished)
        self.applied += 1

    def reserve_run(self, design: int, scale: int) -> None:
        """A verification was submitted."""
        self.budgets.runs[scale].reserve()
        self.pending_first_runs += not self._started.rows[design].any()
        self._started.rows[design, scale] += 1
        self._pending.rows[design, scale] += 1
        self.waiting.pop(design, None)

    def settle_run(self, design: int, run: Run) -> None:
        """A verification's result was applied."""
        self.budgets.runs[run.scale].settle(spent=True)
        self._pending.rows[design, run.scale] -= 1
        known = self.designs[design]
        first = not known.runs
        self.pending_first_runs -= first
        if all(earlier.scale != run.scale for earlier in known.runs):
            self.rung_losses.observe(run.scale, run.held_out_curve)
        known.runs.append(run)
        if run.loss is None:
            self._failed.rows[design, run.scale] = True
        else:
            self._observe(design, run.scale, run.loss)
        known.status = self.status_after(known, run)
        if first:
            self._count_patience(known, run.loss)
        self.applied += 1

    def _observe(self, design: int, scale: int, loss: float) -> None:
        """Variances are worked out anew when the evidence has grown by 2 %: it would not be seen before."""
        self.evidence.observe(design, scale, loss)
        self._losses += 1
        if self._losses >= self._next_variances:
            self._variances = estimate_variances(self.evidence)
            self._next_variances = self._losses + max(1, self._losses // 50)

    @staticmethod
    def status_after(design: Design, run: Run) -> str:
        """The status of a design once ``run`` is known: a good one verifies it, a bad first one damns it."""
        if run.loss is not None:
            return "verified"
        if design.status != "valid":
            return design.status
        return "stopped" if run.status == "stopped" else "untrainable"

    def _count_patience(self, design: Design, loss: float | None) -> None:
        better = loss is not None and (self._best is None or loss < self._best)
        if better:
            self._best = loss
        self.since_best = 0 if better or design.baseline else self.since_best + 1

    # -- looking

    @property
    def started(self) -> Counts:
        """``(N, S)``: runs submitted so far, which is also the seed of the next one."""
        return self._started.rows

    @property
    def pending(self) -> Counts:
        """``(N, S)``: runs in flight."""
        return self._pending.rows

    @property
    def failed(self) -> Flags:
        """``(N, S)``: a run there ended without a loss, so no other is made."""
        return self._failed.rows

    @property
    def baseline(self) -> Flags:
        """``(N,)``: human designs."""
        flags: Flags = self._facts.rows[:, 0].astype(bool)
        return flags

    @property
    def uses(self) -> Counts:
        """``(N,)``: how often a design was chosen as a parent."""
        return self._facts.rows[:, 1]

    @property
    def rarity(self) -> Floats:
        """``(N,)``: one over the square root of the number of designs made of the same units."""
        sizes = self._family_sizes.rows[self._facts.rows[:, 2], 0]
        rarity: Floats = 1 / np.sqrt(sizes)
        return rarity

    @property
    def posterior(self) -> Posterior:
        """Belief at the top of the ladder, worked out once for each new piece of evidence."""
        if self._posterior is None or self._posterior[0] != self.evidence.version:
            self._posterior = self.evidence.version, fit(self.evidence, self._variances)
        return self._posterior[1]

    @property
    def view(self) -> View:
        """What selectors see."""
        limits = [account.limit for account in self.budgets.runs]
        return View(
            posterior=self.posterior, count=self.evidence.count, pending=self.pending, baseline=self.baseline,
            uses=self.uses, rarity=self.rarity, cost=np.array([limits[0] / limit for limit in limits]),
        )  # fmt: skip

    @property
    def designers_left(self) -> dict[str, float]:
        """Designers that may still be asked, with their shares."""
        return self.sessions.shares(self.config.designers)

    @property
    def patience_lost(self) -> bool:
        """Whether as many designs as the budget's patience came without a better one."""
        patience = self.config.budget.patience
        return patience is not None and self.since_best >= patience

    def seeds_needed(self, scale: int) -> int:
        """Seeds a design needs at a scale before it may be called best there."""
        return self.config.ladder.seeds.get(self.scales[scale], 1)

    def parents_pool(self) -> Indices:
        """Designs that may be parents now: human ones until enough are verified, then every verified one."""
        verified = self.evidence.count.any(axis=1)
        hopeless = self.failed.any(axis=1) & ~verified
        if int(verified.sum()) < self.config.design.seeds_only_until or not verified.any():
            return np.flatnonzero(self.baseline & ~hopeless)
        return np.flatnonzero(verified)

    def highest_reached(self) -> int:
        """The highest scale at which a run was started; 0 before the first."""
        return max((scale for scale, account in enumerate(self.budgets.runs) if account.started), default=0)
