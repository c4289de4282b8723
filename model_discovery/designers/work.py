"""Design work as the engine runs it: JSON of a request in, JSON of an outcome out."""

import random
from typing import Any

from model_discovery.designers import genetic
from model_discovery.designers.checking import DesignCheck, open_sandbox
from model_discovery.designers.loop import Draft, Propose, make_design
from model_discovery.designers.requests import (
    Attempt,
    DesignLimits,
    DesignOutcome,
    DesignRequest,
    NothingNew,
    ParentDesign,
    Proposal,
    read_request,
)
from model_discovery.engine.jobs import JobContext
from model_discovery.errors import UserError, unknown
from model_discovery.seeds import derive

__all__ = [
    "DESIGNERS",
    "Attempt",
    "DesignLimits",
    "DesignOutcome",
    "DesignRequest",
    "NothingNew",
    "ParentDesign",
    "Proposal",
    "get_designer",
    "read_request",
    "run_design",
]


def _genetic(request: DesignRequest, number: int) -> Draft:
    return genetic.propose(request, random.Random(derive(request.seed, "attempt", number)))


DESIGNERS: dict[str, Propose] = {"genetic": _genetic}
"""Designers that work on their own, by name."""


def get_designer(name: str) -> Propose:
    """The designer of that name; UserError with the nearest one where there is none."""
    if name == "external":
        raise UserError(
            "The external designer does not work on its own.", hint="answer it by ask() and tell()"
        )
    if name not in DESIGNERS:
        raise unknown("designer", name, [*DESIGNERS, "external"])
    return DESIGNERS[name]


def run_design(request: dict[str, Any], context: JobContext) -> dict[str, Any]:
    """Make one design: JSON of a DesignRequest in, JSON of a DesignOutcome out.

    The sandbox is kept for the worker's next design. Drafts are checked in folders below the job's own.
    """
    wanted = read_request(request)
    propose = get_designer(wanted.designer)
    root, level = context.folder.parent, wanted.limits.sandbox
    sandbox = context.keep(f"designers/{level}/{root}", lambda: open_sandbox(root, level))
    outcome = make_design(wanted, propose, DesignCheck(sandbox, context.folder), context.report)
    return outcome.model_dump(mode="json")
