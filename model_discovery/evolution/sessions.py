"""What design jobs left besides designs: who made them at what cost, ideas that failed, ideas still open."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict

from model_discovery.config.agents import LLM_DESIGNERS
from model_discovery.designers.knowledge import FailedIdea
from model_discovery.designers.requests import Proposal, Spending

SESSIONS_A_PROPOSAL = 3  # that may fail to implement it before it is given up


class Session(BaseModel):
    """A design job that ended, as the timeline keeps it.

    ``proposal`` was accepted and has no design yet; ``twin`` is the design that it turned out to be;
    ``limit`` ended the session (``campaign dollars``).
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    designer: str
    fruitful: bool
    attempts: int = 0
    spending: Spending | None = None
    limit: str = ""
    reason: str = ""
    twin: str = ""
    proposal: Proposal | None = None
    rejected: tuple[FailedIdea, ...] = ()

    @property
    def ended_by_campaign(self) -> bool:
        """Whether what the whole campaign may spend on models is spent."""
        return self.limit.startswith("campaign")

    def to_json(self) -> dict[str, Any]:
        """Plain data; what was not there is left out."""
        return self.model_dump(mode="json", exclude_defaults=True)


@dataclass
class OpenProposal:
    """A proposal that passed its review and was not implemented yet.

    Attributes
    ----------
    job
        Number of the job whose session proposed it.
    parents
        Indices of the designs it starts from.
    failed
        Sessions that tried to implement it.
    taken
        A session in flight is at it.
    """

    job: int
    proposal: Proposal
    operator: str
    parents: tuple[int, ...]
    failed: int = 1
    taken: bool = False


@dataclass
class Tally:
    """Design jobs of one designer, added up.

    ``cut_short`` are those that a limit of the campaign ended: they say nothing about the designer.
    """

    sessions: int = 0
    cut_short: int = 0
    designs: int = 0
    attempts: int = 0
    spending: Spending = field(default_factory=Spending)

    def add(self, session: Session) -> None:
        """Count one more."""
        self.sessions += 1
        self.cut_short += session.ended_by_campaign and not session.fruitful
        self.designs += session.fruitful
        self.attempts += session.attempts
        self.spending += session.spending or Spending()


class Sessions:
    """The books of all design jobs, changed in the order their results are applied.

    Attributes
    ----------
    tallies
        By designer.
    failed
        Ideas that never became a design, in order.
    limit
        The limit of the campaign that ended designing with models; ``""`` while none did.
    """

    def __init__(self) -> None:
        self.tallies: dict[str, Tally] = {}
        self.failed: list[FailedIdea] = []
        self.limit = ""
        self._open: dict[int, OpenProposal] = {}

    def shares(self, designers: Mapping[str, float]) -> dict[str, float]:
        """Who may still be asked, with their shares."""
        spent = LLM_DESIGNERS if self.limit else ()
        return {name: share for name, share in designers.items() if share > 0 and name not in spent}

    def waiting(self) -> OpenProposal | None:
        """The oldest proposal that waits for another session."""
        return next((held for held in self._open.values() if not held.taken), None)

    def proposal(self, job: int) -> Proposal:
        """The open proposal of a job."""
        return self._open[job].proposal

    def take_up(self, job: int) -> None:
        """A session was asked to implement the open proposal of a job."""
        self._open[job].taken = True

    def settle(
        self, session: Session, *, job: int, operator: str, parents: tuple[int, ...], unfinished: int | None
    ) -> None:
        """A design job's result was applied."""
        self.tallies.setdefault(session.designer, Tally()).add(session)
        self.failed.extend(session.rejected)
        if session.ended_by_campaign:
            self.limit = self.limit or session.limit
        held = None if unfinished is None else self._open.pop(unfinished)
        if session.fruitful or session.twin:
            return
        if held is not None:
            self._again(held, session)
        elif session.proposal is not None:
            self._again(OpenProposal(job, session.proposal, operator, parents, failed=0), session)

    def _again(self, held: OpenProposal, session: Session) -> None:
        """Keep a proposal for another session, or give it up."""
        held.taken = False
        held.failed += not session.ended_by_campaign
        if held.failed < SESSIONS_A_PROPOSAL:
            self._open[held.job] = held
            return
        reason = (
            f"{held.failed} sessions could not implement it; the last: {session.reason or 'no reason given'}"
        )
        words = held.proposal
        self.failed.append(FailedIdea(title=words.title, abstract=words.summary, reason=reason))
