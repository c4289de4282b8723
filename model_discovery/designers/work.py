"""Design work as the engine runs it: JSON of a request in, JSON of an outcome out."""

import random
from collections.abc import Callable
from typing import Any

from model_discovery.designers import genetic
from model_discovery.designers.checking import DesignCheck, open_sandbox
from model_discovery.designers.loop import Draft, make_design
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


Work = Callable[[DesignRequest, JobContext], DesignOutcome]
"""What a designer does with a request, in a worker."""


def _genetic(request: DesignRequest, context: JobContext) -> DesignOutcome:
    """Propose and check; drafts are checked in folders below the job's own, in a sandbox that is kept."""
    root, level = context.folder.parent, request.limits.sandbox
    sandbox = context.keep(f"designers/{level}/{root}", lambda: open_sandbox(root, level))
    return make_design(request, _propose, DesignCheck(sandbox, context.folder), context.report)


def _propose(request: DesignRequest, number: int) -> Draft:
    return genetic.propose(request, random.Random(derive(request.seed, "attempt", number)))


def _agentic(request: DesignRequest, context: JobContext) -> DesignOutcome:
    """A design session. What it needs, a client of language models too, is imported when one begins."""
    from model_discovery.designers.agentic.work import run_agentic

    return run_agentic(request, context)


DESIGNERS: dict[str, Work] = {"genetic": _genetic, "agentic": _agentic}
"""Designers that work on their own, by name."""


def get_designer(name: str) -> Work:
    """The designer of that name; UserError with the nearest one where there is none."""
    if name == "external":
        raise UserError(
            "The external designer does not work on its own.", hint="answer it by ask() and tell()"
        )
    if name not in DESIGNERS:
        raise unknown("designer", name, [*DESIGNERS, "external"])
    return DESIGNERS[name]


def run_design(request: dict[str, Any], context: JobContext) -> dict[str, Any]:
    """Make one design: JSON of a DesignRequest in, JSON of a DesignOutcome out."""
    wanted = read_request(request)
    return get_designer(wanted.designer)(wanted, context).model_dump(mode="json")
