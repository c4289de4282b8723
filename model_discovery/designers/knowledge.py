"""What a campaign has measured, as a designer is told it; and what a proposal predicts."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Verdict = Literal["right", "wrong", "open"]
Relation = Literal["parent", "ancestor", "sibling", "baseline", "best"]


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Prediction(_Data):
    """What should be measured if a proposal is right, so that it can turn out wrong.

    ``metric`` is ``loss`` (held-out nats per token) or the name of a suite; ``against`` whose result it is
    compared with; ``amount`` the least difference that counts, 0 for any; ``scale`` where, the first one run
    unless told.
    """

    metric: str = Field("loss", description="loss (held-out nats per token), or the name of a suite")
    direction: Literal["lower", "higher"] = "lower"
    against: Literal["parent", "best_baseline"] = Field(
        "parent", description="whose result it is compared with"
    )
    amount: float = Field(0.0, description="least difference that counts, in the metric's unit; 0 for any")
    scale: str = Field("", description="such as 0.4M; '' for the first one run")
    because: str = Field("", description="in one clause, the mechanism behind it")

    def in_words(self) -> str:
        """A sentence without the reason."""
        against = "its parent" if self.against == "parent" else "the best baseline"
        unit = " nats" if self.metric == "loss" else ""
        least = f" by at least {self.amount:g}{unit}" if self.amount > 0 else ""
        where = f" at {self.scale}" if self.scale else ""
        return f"{self.metric} {self.direction} than {against}{least}{where}"


class ScaleResult(_Data):
    """What a design reached at a scale. ``gain``: standard errors better than the best human design there.

    ``scores`` are ``(value, standard error)`` by suite. ``over_parent`` is like ``gain``, over the parent.
    """

    scale: str
    seeds: int
    loss: float
    stderr: float
    gain: float | None = None
    over_parent: float | None = None
    scores: dict[str, tuple[float, float]] = {}


class KnownDesign(_Data):
    """A design that matters for a request, and how it did. Without ``results``, ``status`` says why."""

    name: str
    relation: Relation
    origin: str
    operator: str | None = None
    parents: tuple[str, ...] = ()
    structure_hash: str = ""
    title: str = ""
    summary: str = ""
    units: tuple[str, ...] = ()
    status: str = ""
    results: tuple[ScaleResult, ...] = ()
    verdict: Verdict | None = None


class UnitStatistic(_Data):
    """What a unit did in the slots of a role: difference of loss at ``scale`` to designs without it, in nats.

    Negative is better; what else differs between these designs is taken into account. ``designs`` have it.
    """

    unit: str
    role: str
    effect: float
    stderr: float
    designs: int
    scale: str = ""


class Idea(_Data):
    """A line of the idea ledger: what was claimed, what was predicted, what came of it.

    ``title`` is that of the proposal, where ``claim`` does not begin with it.
    """

    design: str
    title: str = ""
    claim: str
    prediction: str
    verdict: Verdict
    evidence: str = ""


class FailedIdea(_Data):
    """A proposal that never became a design, and why."""

    title: str
    abstract: str = ""
    reason: str


class Knowledge(_Data):
    """Everything a campaign tells a designer. Empty for a designer outside a campaign."""

    designs: tuple[KnownDesign, ...] = ()
    unit_statistics: tuple[UnitStatistic, ...] = ()
    ideas: tuple[Idea, ...] = ()
    failed: tuple[FailedIdea, ...] = ()
