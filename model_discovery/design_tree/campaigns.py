"""Campaigns and their timeline of events."""

import re
import time

from sqlalchemy import Connection, select, update
from sqlalchemy.exc import IntegrityError

from model_discovery.design_tree.faults import UnknownRow, clean
from model_discovery.design_tree.rows import CampaignRow, CampaignState, EventRow, Json
from model_discovery.design_tree.status import CAMPAIGN_STATES
from model_discovery.design_tree.store import Store, columns, insert_row
from model_discovery.design_tree.tables import campaign, event
from model_discovery.errors import UserError, unknown

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_CAMPAIGN = select(*columns(campaign, CampaignRow))
_EVENT = select(*columns(event, EventRow)).order_by(event.c.id)


class Campaigns(Store):
    """Methods of `DesignTree` about whole campaigns."""

    def create_campaign(
        self, name: str, *, instruction: str, config: Json, seed: int, versions: Json
    ) -> CampaignRow:
        """Begin a campaign in the state ``running``.

        Parameters
        ----------
        name
            Unique in the file; letters, digits, ``.``, ``_`` and ``-``, since files are named after it.
        config
            The full configuration, so that the campaign can be resumed without its command line.
        seed
            From ``0`` to ``2**63 - 1``.
        versions
            Releases of what decides results: this package, torch, lm-eval, Python.
        """
        if not _NAME.fullmatch(name):
            raise UserError(
                f"'{name}' cannot name a campaign.",
                hint="up to 80 letters, digits, '.', '_' and '-', a letter or digit first",
            )
        if not 0 <= seed < 2**63:
            raise UserError(f"The seed {seed} is out of range.", hint="0 to 2**63 - 1")
        values = {
            "name": name,
            "instruction": clean(instruction),
            "state": "running",
            "seed": seed,
            "created": time.time(),
            "config": config,
            "versions": versions,
        }
        try:
            with self._write() as connection:
                return CampaignRow(id=insert_row(connection, campaign, values), **values)  # type: ignore[arg-type]
        except IntegrityError:
            raise UserError(
                f"There is a campaign '{name}' in {self.place.shown} already.",
                hint=f"go on with it by --resume {name}, or choose another name",
            ) from None

    def campaigns(self) -> list[CampaignRow]:
        """All campaigns, oldest first."""
        with self._read() as connection:
            return [CampaignRow(*row) for row in connection.execute(_CAMPAIGN.order_by(campaign.c.id))]

    def campaign(self, name: str) -> CampaignRow:
        """The campaign of this name; UserError with the nearest one when there is none."""
        with self._read() as connection:
            row = connection.execute(_CAMPAIGN.where(campaign.c.name == name)).one_or_none()
            if row is None:
                raise unknown("campaign", name, connection.execute(select(campaign.c.name)).scalars())
            return CampaignRow(*row)

    def set_campaign_state(self, campaign_id: int, state: CampaignState) -> None:
        """Set ``running``, ``stopped``, ``finished`` or ``failed``; a finished campaign may run again."""
        if state not in CAMPAIGN_STATES:
            raise ValueError(f"no campaign state {state!r}")
        with self._write() as connection:
            done = connection.execute(
                update(campaign).where(campaign.c.id == campaign_id).values(state=state)
            )
            if done.rowcount != 1:
                raise UnknownRow(f"no campaign has the id {campaign_id}")

    def record_event(self, campaign_id: int, kind: str, data: Json) -> EventRow:
        """Append to the timeline."""
        now = time.time()
        with self._write() as connection:
            number = add_event(connection, campaign_id, kind, data, now)
        return EventRow(id=number, campaign_id=campaign_id, kind=kind, created=now, data=data)

    def events(self, campaign_id: int, after: int = 0) -> list[EventRow]:
        """The timeline, from behind the event with the id ``after``."""
        with self._read() as connection:
            found = connection.execute(_EVENT.where(event.c.campaign_id == campaign_id, event.c.id > after))
            return [EventRow(*row) for row in found]


def add_event(connection: Connection, campaign_id: int, kind: str, data: Json, now: float) -> int:
    """Append to the timeline, inside the caller's transaction."""
    return insert_row(
        connection, event, {"campaign_id": campaign_id, "kind": kind, "created": now, "data": data}
    )
