"""The first schema.

A new tree is made from `tables.py` at once; a test holds that this step makes the same database.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the seven tables."""
    _campaign()
    _decision()
    _design()
    _event()
    _job()
    _parentage()
    _verification()


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _word(name: str, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String, nullable=nullable)


def _integer(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False)


def _seconds(name: str, nullable: bool = False) -> sa.Column[float]:
    return sa.Column(name, sa.Float(53), nullable=nullable)


def _json(name: str, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.JSON, nullable=nullable)


def _key(table: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint("id", name=f"pk_{table}")


def _foreign(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=f"fk_{table}_{column}")


def _unique(table: str, *columns: str) -> sa.UniqueConstraint:
    return sa.UniqueConstraint(*columns, name=f"uq_{table}_{'_'.join(columns)}")


def _campaign() -> None:
    op.create_table(
        "campaign",
        _integer("id"),
        _word("name"),
        _text("instruction"),
        _word("state"),
        sa.Column("seed", sa.BigInteger, nullable=False),
        _seconds("created"),
        _json("config"),
        _json("versions"),
        _key("campaign"),
        _unique("campaign", "name"),
    )


def _decision() -> None:
    op.create_table(
        "decision",
        _integer("id"),
        _integer("campaign_id"),
        _integer("number"),
        _word("kind"),
        _text("reason"),
        _seconds("created"),
        _json("chosen"),
        _json("candidates"),
        _json("scores"),
        _foreign("decision", "campaign_id", "campaign"),
        _key("decision"),
        _unique("decision", "campaign_id", "number"),
    )


def _design() -> None:
    op.create_table(
        "design",
        _integer("id"),
        _integer("campaign_id"),
        _word("name"),
        _word("origin"),
        _word("operator", nullable=True),
        _word("status"),
        _word("structure_hash", nullable=True),
        _seconds("created"),
        _json("sizes"),
        _json("proposal", nullable=True),
        _json("unit_tree", nullable=True),
        _foreign("design", "campaign_id", "campaign"),
        _key("design"),
        _unique("design", "campaign_id", "name"),
        _unique("design", "campaign_id", "structure_hash"),
    )
    op.create_index("ix_design_campaign_id_id", "design", ["campaign_id", "id"])


def _event() -> None:
    op.create_table(
        "event",
        _integer("id"),
        _integer("campaign_id"),
        _word("kind"),
        _seconds("created"),
        _json("data"),
        _foreign("event", "campaign_id", "campaign"),
        _key("event"),
    )
    op.create_index("ix_event_campaign_id_id", "event", ["campaign_id", "id"])


def _job() -> None:
    op.create_table(
        "job",
        _integer("id"),
        _integer("campaign_id"),
        _integer("decision_id"),
        _integer("number"),
        _word("kind"),
        _word("state"),
        _integer("attempts"),
        _integer("losses"),
        _word("worker"),
        _text("error"),
        _seconds("seconds", nullable=True),
        _seconds("created"),
        _seconds("started", nullable=True),
        _seconds("finished", nullable=True),
        _json("request"),
        _json("result", nullable=True),
        _foreign("job", "campaign_id", "campaign"),
        _foreign("job", "decision_id", "decision"),
        _key("job"),
        _unique("job", "campaign_id", "number"),
    )
    op.create_index("ix_job_campaign_id_state_number", "job", ["campaign_id", "state", "number"])


def _parentage() -> None:
    op.create_table(
        "parentage",
        _integer("child_id"),
        _integer("position"),
        _integer("parent_id"),
        _word("path"),
        _foreign("parentage", "child_id", "design"),
        _foreign("parentage", "parent_id", "design"),
        sa.PrimaryKeyConstraint("child_id", "position", name="pk_parentage"),
    )


def _verification() -> None:
    op.create_table(
        "verification",
        _integer("id"),
        _integer("campaign_id"),
        _integer("design_id"),
        sa.Column("job_id", sa.Integer, nullable=True),
        _word("scale"),
        _word("recipe_hash"),
        sa.Column("seed", sa.BigInteger, nullable=False),
        _word("status"),
        _text("error"),
        _seconds("created"),
        _json("losses"),
        _json("scores"),
        _json("cost"),
        _json("environment"),
        _json("artefacts"),
        _json("curve"),
        _foreign("verification", "campaign_id", "campaign"),
        _foreign("verification", "design_id", "design"),
        _foreign("verification", "job_id", "job"),
        _key("verification"),
        _unique("verification", "design_id", "scale", "recipe_hash", "seed"),
        _unique("verification", "job_id"),
    )
    op.create_index("ix_verification_campaign_id_id", "verification", ["campaign_id", "id"])
