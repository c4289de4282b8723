"""What goes into the tree and what comes out of it: frozen records, never live database objects.

Times are seconds since the epoch (UTC). JSON payloads (``dict`` and ``list`` fields) are opaque here, and
never contain NaN or infinity.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

Json = dict[str, Any]
CampaignState = Literal["running", "stopped", "finished", "failed"]
Origin = Literal["seed", "genetic", "external", "agentic"]
Status = Literal[
    "proposed", "rejected", "implementing", "abandoned", "valid", "verified", "stopped", "untrainable"
]
JobKind = Literal["design", "verify"]
JobState = Literal["queued", "running", "done", "failed", "set_aside", "applied"]


@dataclass(frozen=True, slots=True)
class CampaignRow:
    """One evolution run."""

    id: int
    name: str
    instruction: str
    state: CampaignState
    seed: int
    created: float
    config: Json
    versions: Json


@dataclass(frozen=True, slots=True)
class Parent:
    """One edge: the parent's name, and the slot path that was taken from it (``""``: all of it)."""

    name: str
    path: str


@dataclass(frozen=True, slots=True)
class NewDesign:
    """A design to add.

    ``parents`` are pairs (name, slot path) in order; ``structure_hash`` is None without a unit tree.
    """

    name: str
    origin: Origin
    operator: str | None
    status: Status
    proposal: Json | None
    unit_tree: Json | None
    structure_hash: str | None
    sizes: Json = field(default_factory=dict)
    parents: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class DesignRow:
    """A node of the tree, without its heavy parts (``DesignTree.unit_tree``, ``DesignTree.proposal``)."""

    id: int
    campaign_id: int
    name: str
    origin: Origin
    operator: str | None
    status: Status
    structure_hash: str | None
    created: float
    sizes: Json
    parents: tuple[Parent, ...]


@dataclass(frozen=True, slots=True)
class NewVerification:
    """One design trained at one scale with one seed. A number that was not measured is None or absent."""

    design_id: int
    scale: str
    recipe_hash: str
    seed: int
    status: str
    losses: Json = field(default_factory=dict)
    scores: Json = field(default_factory=dict)
    curve: list[Any] = field(default_factory=list)
    cost: Json = field(default_factory=dict)
    environment: Json = field(default_factory=dict)
    artefacts: Json = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True, slots=True)
class VerificationRow:
    """A stored verification, without its curve (see ``DesignTree.curve``)."""

    id: int
    campaign_id: int
    design_id: int
    job_id: int | None
    scale: str
    recipe_hash: str
    seed: int
    status: str
    error: str
    created: float
    losses: Json
    scores: Json
    cost: Json
    environment: Json
    artefacts: Json


@dataclass(frozen=True, slots=True)
class NewDecision:
    """What the selector chose, among which candidates, with which scores, and why in words.

    Keep ``candidates`` bounded (the best few dozen): it is written with every job. ``chosen`` enters the
    lineage hash, floats left out.
    """

    kind: str
    chosen: Json
    candidates: list[Any] = field(default_factory=list)
    scores: Json = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """A stored decision; ``number`` is that of the job it led to."""

    id: int
    campaign_id: int
    number: int
    kind: str
    reason: str
    created: float
    chosen: Json
    candidates: list[Any]
    scores: Json


@dataclass(frozen=True, slots=True)
class JobRow:
    """A unit of work.

    ``number`` is 0, 1, 2… within the campaign; ``attempts`` counts starts, ``losses`` the workers that died.
    """

    id: int
    campaign_id: int
    decision_id: int
    number: int
    kind: JobKind
    state: JobState
    attempts: int
    losses: int
    worker: str
    error: str
    seconds: float | None
    created: float
    started: float | None
    finished: float | None
    request: Json
    result: Json | None


@dataclass(frozen=True, slots=True)
class EventRow:
    """One line of the append-only timeline."""

    id: int
    campaign_id: int
    kind: str
    created: float
    data: Json


@dataclass(frozen=True, slots=True)
class Applied:
    """What ``apply_job`` inserted."""

    design_id: int | None
    verification_id: int | None
