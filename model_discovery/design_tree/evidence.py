"""What is known about designs: verifications, and the decisions that asked for them."""

from dataclasses import fields
from typing import Any, cast

from sqlalchemy import Connection, bindparam, select

from model_discovery.design_tree import lineage
from model_discovery.design_tree.designs import Designs
from model_discovery.design_tree.faults import DuplicateVerification, UnknownRow, clean
from model_discovery.design_tree.rows import DecisionRow, NewVerification, VerificationRow
from model_discovery.design_tree.store import columns, insert_row
from model_discovery.design_tree.tables import decision, design, verification

_VERIFICATION = select(*columns(verification, VerificationRow)).order_by(verification.c.id)
# What makes a run: with these four equal, it is the same one.
_RUN = ("design_id", "scale", "recipe_hash", "seed")
_SAME = select(verification.c.id).where(*(verification.c[column] == bindparam(column) for column in _RUN))
_NAME = select(design.c.name).where(
    design.c.id == bindparam("design_id"), design.c.campaign_id == bindparam("campaign_id")
)
_NEW_COLUMNS = tuple(field.name for field in fields(NewVerification))
_DECISION = select(*columns(decision, DecisionRow)).order_by(decision.c.number)


class Evidence(Designs):
    """Methods of `DesignTree` about verifications and decisions."""

    def verifications(self, campaign_id: int, after: int = 0) -> list[VerificationRow]:
        """Verifications with an id above ``after`` in the order they were applied, without curves."""
        where = (verification.c.campaign_id == campaign_id, verification.c.id > after)
        with self._read() as connection:
            return [VerificationRow(*row) for row in connection.execute(_VERIFICATION.where(*where))]

    def curve(self, verification_id: int) -> list[Any]:
        """The training curve of a verification."""
        with self._read() as connection:
            query = select(verification.c.curve).where(verification.c.id == verification_id)
            row = connection.execute(query).one_or_none()
        if row is None:
            raise UnknownRow(f"no verification has the id {verification_id}")
        return cast(list[Any], row[0])

    def decisions(self, campaign_id: int) -> list[DecisionRow]:
        """All decisions, in the order they were taken."""
        with self._read() as connection:
            found = connection.execute(_DECISION.where(decision.c.campaign_id == campaign_id))
            return [DecisionRow(*row) for row in found]

    def lineage_hash(self, campaign_id: int) -> str:
        """Hash of structures, parents and decisions, in order: equal for campaigns that went the same way."""
        with self._read() as connection:
            query = select(decision.c.kind, decision.c.chosen).where(decision.c.campaign_id == campaign_id)
            choices = [
                (kind, chosen) for kind, chosen in connection.execute(query.order_by(decision.c.number))
            ]
        return lineage.lineage_hash(self.designs(campaign_id), choices)


def insert_verification(
    connection: Connection, campaign_id: int, job_id: int, new: NewVerification, now: float
) -> int:
    """Add a verification, inside the caller's transaction."""
    ours = {"design_id": new.design_id, "campaign_id": campaign_id}
    name = connection.execute(_NAME, ours).scalar()
    if name is None:
        raise UnknownRow(f"no design of this campaign has the id {new.design_id}")
    if connection.execute(_SAME, {column: getattr(new, column) for column in _RUN}).scalar() is not None:
        raise DuplicateVerification(
            f"Design '{name}' has a verification at {new.scale} with seed {new.seed} already."
        )
    values = {column: getattr(new, column) for column in _NEW_COLUMNS}
    values |= {"campaign_id": campaign_id, "job_id": job_id, "error": clean(new.error), "created": now}
    return insert_row(connection, verification, values)
