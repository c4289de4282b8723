"""The tables. Heavy JSON columns come last in a row, so that reading the light ones does not touch them."""

from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Float, Index, MetaData, Text, UniqueConstraint
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

# The last entry is the schema below; the earlier ones are what `migrations/` can bring up to it.
REVISIONS: tuple[str, ...] = ("0001",)

_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class TreeTable(SQLModel, registry=registry(metadata=MetaData(naming_convention=_NAMES))):
    """Base of the tree's tables, apart from any other SQLModel tables of the same process."""


def _text() -> Any:
    return Column(Text, nullable=False)


def _json(nullable: bool = False) -> Any:
    return Column(JSON(none_as_null=True), nullable=nullable)


def _seconds(nullable: bool = False) -> Any:
    return Column(Float(53), nullable=nullable)


class Campaign(TreeTable, table=True):
    """One evolution run."""

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    instruction: str = Field(sa_column=_text())
    state: str
    seed: int = Field(sa_type=BigInteger)
    created: float = Field(sa_column=_seconds())
    config: dict[str, Any] = Field(sa_column=_json())
    versions: dict[str, Any] = Field(sa_column=_json())


class Design(TreeTable, table=True):
    """A node of the tree. A structure exists once in a campaign; designs without a unit tree have no hash."""

    __table_args__ = (
        UniqueConstraint("campaign_id", "name"),
        UniqueConstraint("campaign_id", "structure_hash"),
        Index(None, "campaign_id", "id"),
    )
    id: int | None = Field(default=None, primary_key=True)
    campaign_id: int = Field(foreign_key="campaign.id")
    name: str
    origin: str
    operator: str | None
    status: str
    structure_hash: str | None
    created: float = Field(sa_column=_seconds())
    sizes: dict[str, Any] = Field(sa_column=_json())
    proposal: dict[str, Any] | None = Field(sa_column=_json(nullable=True))
    unit_tree: dict[str, Any] | None = Field(sa_column=_json(nullable=True))


class Parentage(TreeTable, table=True):
    """Child, parent, and the slot path taken from it; a crossover has several rows."""

    child_id: int = Field(foreign_key="design.id", primary_key=True)
    position: int = Field(primary_key=True)
    parent_id: int = Field(foreign_key="design.id")
    path: str


class Decision(TreeTable, table=True):
    """What the selector chose, from which candidates, with which scores and why."""

    __table_args__ = (UniqueConstraint("campaign_id", "number"),)
    id: int | None = Field(default=None, primary_key=True)
    campaign_id: int = Field(foreign_key="campaign.id")
    number: int
    kind: str
    reason: str = Field(sa_column=_text())
    created: float = Field(sa_column=_seconds())
    chosen: dict[str, Any] = Field(sa_column=_json())
    candidates: list[Any] = Field(sa_column=_json())
    scores: dict[str, Any] = Field(sa_column=_json())


class Job(TreeTable, table=True):
    """A unit of work: its request before it starts, its result as soon as it ends."""

    __table_args__ = (
        UniqueConstraint("campaign_id", "number"),
        Index(None, "campaign_id", "state", "number"),
    )
    id: int | None = Field(default=None, primary_key=True)
    campaign_id: int = Field(foreign_key="campaign.id")
    decision_id: int = Field(foreign_key="decision.id")
    number: int
    kind: str
    state: str
    attempts: int
    losses: int
    worker: str
    error: str = Field(sa_column=_text())
    seconds: float | None = Field(sa_column=_seconds(nullable=True))
    created: float = Field(sa_column=_seconds())
    started: float | None = Field(sa_column=_seconds(nullable=True))
    finished: float | None = Field(sa_column=_seconds(nullable=True))
    request: dict[str, Any] = Field(sa_column=_json())
    result: dict[str, Any] | None = Field(sa_column=_json(nullable=True))


class Verification(TreeTable, table=True):
    """One design, one scale, one recipe, one seed: counted once."""

    __table_args__ = (
        UniqueConstraint("design_id", "scale", "recipe_hash", "seed"),
        Index(None, "campaign_id", "id"),
    )
    id: int | None = Field(default=None, primary_key=True)
    campaign_id: int = Field(foreign_key="campaign.id")
    design_id: int = Field(foreign_key="design.id")
    job_id: int | None = Field(default=None, foreign_key="job.id", unique=True)
    scale: str
    recipe_hash: str
    seed: int = Field(sa_type=BigInteger)
    status: str
    error: str = Field(sa_column=_text())
    created: float = Field(sa_column=_seconds())
    losses: dict[str, Any] = Field(sa_column=_json())
    scores: dict[str, Any] = Field(sa_column=_json())
    cost: dict[str, Any] = Field(sa_column=_json())
    environment: dict[str, Any] = Field(sa_column=_json())
    artefacts: dict[str, Any] = Field(sa_column=_json())
    curve: list[Any] = Field(sa_column=_json())


class Event(TreeTable, table=True):
    """The append-only timeline that the terminal and the tests read."""

    __table_args__ = (Index(None, "campaign_id", "id"),)
    id: int | None = Field(default=None, primary_key=True)
    campaign_id: int = Field(foreign_key="campaign.id")
    kind: str
    created: float = Field(sa_column=_seconds())
    data: dict[str, Any] = Field(sa_column=_json())


METADATA = TreeTable.metadata
campaign = METADATA.tables["campaign"]
design = METADATA.tables["design"]
parentage = METADATA.tables["parentage"]
decision = METADATA.tables["decision"]
job = METADATA.tables["job"]
verification = METADATA.tables["verification"]
event = METADATA.tables["event"]
