"""The roles, the steps they take, what each step answers and what its prompt may use."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel

from model_discovery.blocks.unit_tree import UnitTree
from model_discovery.checks.report import CheckReport
from model_discovery.designers.agentic.brief import Brief, Twin
from model_discovery.designers.agentic.schemas import (
    Judgement,
    Plan,
    ProposalDraft,
    Review,
    SearchNote,
    UnitCode,
)

Variables = Mapping[str, type | None]
"""Variables of a prompt, each with its kind; ``None``: a plain value or a list."""


@dataclass(frozen=True)
class Step:
    """One kind of call: the schema of its answer, and the variables of its prompt."""

    answer: type[BaseModel]
    variables: Variables


def _step(answer: type[BaseModel], plain: str = "", **typed: type) -> Step:
    return Step(answer, {"brief": Brief, **dict.fromkeys(plain.split()), **typed})


ROLES: dict[str, dict[str, Step]] = {
    "proposer": {
        "search": _step(SearchNote, "notes hits round rounds"),
        "propose": _step(ProposalDraft, "notes hits"),
        "refine": _step(
            ProposalDraft, "notes hits problem tried", proposal=ProposalDraft, review=Review, twin=Twin
        ),
    },
    "reviewer": {
        "search": _step(SearchNote, "notes hits round rounds", proposal=ProposalDraft),
        "review": _step(Review, "notes hits nearest", proposal=ProposalDraft),
    },
    "planner": {"plan": _step(Plan, "open_slots history", proposal=ProposalDraft, tree=UnitTree)},
    "coder": {
        "write": _step(UnitCode, "path", proposal=ProposalDraft, tree=UnitTree, plan=Plan),
        "retry": _step(
            UnitCode, "path tried", proposal=ProposalDraft, tree=UnitTree, plan=Plan, code=UnitCode,
            report=CheckReport, judgement=Judgement,
        ),
        "block": _step(UnitCode, proposal=ProposalDraft),
        "block_retry": _step(UnitCode, "tried", proposal=ProposalDraft, code=UnitCode, report=CheckReport),
    },
    "observer": {
        "judge": _step(
            Judgement, "path findings", proposal=ProposalDraft, tree=UnitTree, plan=Plan, code=UnitCode
        )
    },
}  # fmt: skip
"""Steps by role and name."""


def attributes(variables: Variables) -> dict[str, frozenset[str] | None]:
    """Variables, each with the attributes it has; ``None`` where any may be asked for."""
    return {name: _attributes(kind) for name, kind in variables.items()}


def _attributes(kind: type | None) -> frozenset[str] | None:
    if kind is None:
        return None
    fields = kind.model_fields if issubclass(kind, BaseModel) else getattr(kind, "__dataclass_fields__", {})
    return frozenset(fields) | {name for name in dir(kind) if not name.startswith(("_", "model_"))}
