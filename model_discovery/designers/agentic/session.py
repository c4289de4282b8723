"""A design session: proposals argued for, the best of them built, everything in the journal.

A session is a function of its request and of what its tools answer. It has no clock and no state of its own
beside the journal, so that one that was killed runs again from its beginning and asks for nothing twice.
"""

import time
from dataclasses import dataclass, field

from model_discovery.designers.agentic.asking import Desk, SessionTools, spending_of
from model_discovery.designers.agentic.direct import implement_block
from model_discovery.designers.agentic.implementing import Built, implement_units
from model_discovery.designers.agentic.proposing import Accepted, draft_of, idea_of, proposal_of, run_chain
from model_discovery.designers.knowledge import FailedIdea
from model_discovery.designers.requests import DesignOutcome, DesignRequest, Proposal
from model_discovery.errors import UserError
from model_discovery.llm.types import LimitReached

__all__ = ["SessionTools", "run_session"]

PARENTS = {"scratch": 0, "mutation": 1, "crossover": 2}


@dataclass
class _State:
    """What a session has come to, so that a limit loses nothing of it."""

    proposals: list[Proposal] = field(default_factory=list)
    rejected: list[FailedIdea] = field(default_factory=list)
    built: Built | None = None
    limit: str = ""
    why: str = ""


def run_session(request: DesignRequest, tools: SessionTools) -> DesignOutcome:
    """One design session.

    Parameters
    ----------
    request
        What is wanted; ``agents`` says how the session works, ``unfinished`` spares it the argument.
    tools
        The world.

    Raises
    ------
    UserError
        The operator needs more parents, no model can be asked, or a replay that is not one.
    """
    started = time.monotonic()
    if len(request.parents) < PARENTS[request.operator]:
        needed = PARENTS[request.operator]
        raise UserError(f"A {request.operator} needs {needed} parents, {len(request.parents)} given.")
    desk = Desk(request, tools)
    state = _State()
    try:
        _propose(desk, state)
        _implement(desk, state)
    except LimitReached as error:
        state.limit, state.why = f"{error.scope} {error.what}", error.message
        desk.journal.note("limit", scope=error.scope, what=error.what, reason=error.message)
    outcome = _outcome(desk, state)
    desk.journal.note(
        "end",
        status=outcome.status,
        structure_hash=outcome.structure_hash,
        limit=outcome.limit,
        why=outcome.why,
    )
    spending = spending_of(desk.journal.events)
    return outcome.model_copy(
        update={
            "seconds": time.monotonic() - started,
            "spending": spending,
            "reworded": desk.journal.reworded,
        }
    )


def _propose(desk: Desk, state: _State) -> None:
    """Chain after chain, each told of those before it; the accepted ones by rating, the best first."""
    if desk.request.unfinished is not None:
        state.proposals = [desk.request.unfinished]
        return
    accepted: list[Accepted] = []
    for number in range(1, desk.config.n_proposals + 1):
        with desk.journal.step(f"proposal {number}"):
            result = run_chain(desk)
        if isinstance(result, Accepted):
            accepted.append(result)
            desk.learn(idea_of(result, number))
        else:
            state.rejected.append(result)
            desk.learn(result)
        accepted.sort(key=_rating, reverse=True)  # stable: of equals the earlier one
        state.proposals = [proposal_of(one, desk.request) for one in accepted]


def _rating(accepted: Accepted) -> float:
    return accepted.review.rating if accepted.review else 0.0


def _implement(desk: Desk, state: _State) -> None:
    """Build the best proposals in turn, until one is valid; what is left is the best one."""
    if not state.proposals:
        last = state.rejected[-1]
        state.why = f"no proposal passed; the last one, '{last.title}': {last.reason}"
        return
    implement = implement_units if desk.config.flow == "units" else implement_block
    failures: list[str] = []
    for number, proposal in enumerate(state.proposals[: desk.config.n_implement], 1):
        with desk.journal.step(f"implementation {number}"):
            result = implement(desk, draft_of(proposal))
        if isinstance(result, Built):
            state.built, state.proposals = result, [proposal]
            return
        failures.append(f"'{proposal.title}' was not implemented: {result.why}")
    state.why = "; ".join(failures)


def _outcome(desk: Desk, state: _State) -> DesignOutcome:
    """The answer to the request."""
    outcome = DesignOutcome(
        status="abandoned",
        proposal=state.proposals[0] if state.proposals else None,
        attempts=tuple(desk.attempts),
        limit=state.limit,
        why=state.why,
        rejected=tuple(state.rejected),
    )
    if state.built is None:
        return outcome
    tree = state.built.tree
    return outcome.model_copy(
        update={
            "status": "valid",
            "unit_tree": tree,
            "structure_hash": tree.structure_hash,
            "sizes": state.built.report.sizes,
        }
    )
