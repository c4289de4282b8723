"""Propose, check, try again."""

import time
from collections.abc import Callable
from typing import Protocol

from model_discovery.blocks.unit_tree import UnitTree
from model_discovery.checks.report import CheckReport, Finding
from model_discovery.designers.requests import Attempt, DesignOutcome, DesignRequest, NothingNew, Proposal
from model_discovery.errors import UserError

Draft = tuple[UnitTree, Proposal]
Propose = Callable[[DesignRequest, int], Draft]
"""Makes the draft of one attempt, counted from 0; raises NothingNew to give up."""


class Check(Protocol):
    """Checks a tree of a request; ``number`` tells the attempts apart."""

    def __call__(self, tree: UnitTree, request: DesignRequest, number: int) -> CheckReport:
        """The report."""
        ...


def make_design(
    request: DesignRequest,
    propose: Propose,
    check: Check,
    report: Callable[..., None] = lambda **_: None,
) -> DesignOutcome:
    """Propose and check until a draft is valid or ``max_attempts`` are used up. Every attempt is kept.

    Parameters
    ----------
    request
        What is wanted.
    propose
        Makes the drafts; it gets the request with the hashes of failed drafts added to ``avoid``.
    check
        Judges them.
    report
        Called with ``attempt`` and ``of`` before each draft is checked.
    """
    started = time.monotonic()
    attempts: list[Attempt] = []
    for number in range(request.limits.max_attempts):
        avoid = (*request.avoid, *(attempt.structure_hash for attempt in attempts))
        try:
            tree, proposal = propose(request.model_copy(update={"avoid": avoid}), number)
        except NothingNew as error:
            attempts.append(Attempt(structure_hash="", ok=False, findings=(nothing_new(error),)))
            break
        report(attempt=number + 1, of=request.limits.max_attempts)
        checked = check(tree, request, number)
        attempts.append(Attempt(structure_hash=tree.structure_hash, ok=checked.ok, findings=checked.findings))
        if checked.ok:
            return valid_outcome(tree, proposal, checked, attempts, time.monotonic() - started)
    return DesignOutcome(status="abandoned", attempts=tuple(attempts), seconds=time.monotonic() - started)


def valid_outcome(
    tree: UnitTree, proposal: Proposal, checked: CheckReport, attempts: list[Attempt], seconds: float
) -> DesignOutcome:
    """The outcome of a draft that passed."""
    return DesignOutcome(
        status="valid",
        proposal=proposal,
        unit_tree=tree,
        structure_hash=tree.structure_hash,
        sizes=checked.sizes,
        attempts=tuple(attempts),
        seconds=seconds,
    )


def repeated(tree: UnitTree, request: DesignRequest) -> Finding | None:
    """The finding for a structure that a request rules out: an earlier design's, or a parent's."""
    known = {*request.avoid, *(parent.unit_tree.structure_hash for parent in request.parents)}
    if tree.structure_hash not in known:
        return None
    return Finding(
        check="novelty",
        where="the whole tree",
        measured=f"structure {tree.structure_hash} exists already",
        limit="a structure that is not in the tree yet",
        hint="compute something that no parent and no earlier design does",
    )


def nothing_new(error: UserError) -> Finding:
    """The finding for a designer that ran out of structures."""
    return Finding(
        check="novelty",
        where="proposal",
        measured=error.message,
        limit="a structure that is not in the tree yet",
        hint="other parents, or another operator",
    )
