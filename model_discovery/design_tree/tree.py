"""The design tree: everything a campaign knows, in one SQL database."""

from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

from model_discovery.design_tree.campaigns import Campaigns
from model_discovery.design_tree.evidence import Evidence
from model_discovery.design_tree.jobs import Jobs
from model_discovery.design_tree.lock import campaign_lock


class DesignTree(Campaigns, Jobs, Evidence):
    """Campaigns, designs, verifications, jobs, decisions and events.

    Every method is one transaction: when it returns, it is in the file; when the process dies before, nothing
    of it is. Rows come back as frozen dataclasses. One process at a time works on a campaign (see
    `campaign_lock`); any number may read meanwhile.

    Parameters
    ----------
    location
        A path (SQLite) or an SQLAlchemy URL. A missing file is created; one of an older release is copied,
        then upgraded.
    create
        False: a missing file is an error.

    Raises
    ------
    UserError
        A file that is damaged, locked, foreign, of a newer release, or in a place that cannot be written.

    Examples
    --------
    >>> with DesignTree("sqlite://") as tree:
    ...     tree.create_campaign("first", instruction="discover", config={}, seed=0, versions={}).id
    1
    """

    def campaign_lock(self, name: str) -> AbstractContextManager[None]:
        """Hold a campaign for this process; UserError naming the holder when another process has it."""
        return campaign_lock(self.engine, self.place, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
