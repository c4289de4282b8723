"""What a designer outside this program is asked for: the design that its campaign would ask for next."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from model_discovery.config import parse_config
from model_discovery.errors import UserError, unknown
from model_discovery.system import adding, views
from model_discovery.system.views import Facts

if TYPE_CHECKING:
    from model_discovery.blocks import UnitTree
    from model_discovery.design_tree import CampaignRow, DesignTree
    from model_discovery.evolution import CampaignState
    from model_discovery.evolution.policy import DesignStep

_TASKS = {
    "scratch": "Write a new block. Units of the library may stand in its slots.",
    "mutation": "Change the parent in one slot (a unit, with what is below it); keep the rest as it is.",
    "crossover": "Start from the first parent and bring a part of the second one into it.",
}
_HUMAN = "transformer_pp"  # whose mutation is asked for where there is no campaign


def next_request(db: str, campaign: str | None, parents: Sequence[str] = (), skip: int = 0) -> Facts:
    """Operator, parents, instruction and limits of the next design, and what the campaign has learned.

    Nothing is written: the same question gets the same answer until something has been entered or measured.

    Parameters
    ----------
    parents
        Designs to start from (one: mutation, two: crossover); chosen as the campaign does unless told.
    skip
        Pass over so many requests.

    Raises
    ------
    UserError
        No such campaign or parent; a campaign that asks for no designs.
    """
    if campaign is None and not views.exists(db):
        return _without_campaign(parents)
    with views.open_campaign(db, campaign, required=False) as (tree, row):
        return _without_campaign(parents) if row is None else _of_campaign(tree, row, parents, skip)


def _of_campaign(tree: "DesignTree", row: "CampaignRow", parents: Sequence[str], skip: int) -> Facts:
    from model_discovery.evolution import KnowledgeMaker, load_state
    from model_discovery.evolution.policy import DesignStep

    config = parse_config(row.config)
    if not config.budget.designs:
        raise UserError(f"The campaign '{row.name}' is a survey of human designs and asks for none.")
    state = load_state(tree, row.id, config)
    if parents:
        indices = tuple(_index(state, parent) for parent in parents)
        step, reason = DesignStep(adding.operator_of(parents), "external", indices), "parents as told"
    else:
        step, reason = _chosen(state, len(tree.decisions(row.id)), skip)
    names = [state.designs[index].name for index in step.parents]
    request = adding.request_of(tree, row, names, config)
    knowledge = KnowledgeMaker(tree).of(state, step)
    return {
        "campaign": row.name,
        "instruction": row.instruction,
        **_asked(step.operator, reason),
        "parents": [_parent(parent.name, parent.unit_tree) for parent in request.parents],
        "limits": {
            "scales": list(config.scales),
            "designs_left": state.budgets.designs.left,
            "runs_left": {
                scale: account.left for scale, account in zip(config.scales, state.budgets.runs, strict=True)
            },
        },
        "knowledge": knowledge.model_dump(mode="json", exclude_defaults=True),
    }


def _chosen(state: "CampaignState", number: int, skip: int) -> "tuple[DesignStep, str]":
    """What would be asked for after ``number`` decisions, what came from outside and what is passed over."""
    from model_discovery.evolution import decide_design, get_selector
    from model_discovery.evolution.policy import DesignStep

    selector = get_selector(state.config.selector)
    for design in [design for design in state.designs if design.origin == "external"]:
        _count(state, design.operator or "scratch", design.parents)
        number += 1
    while True:
        decision = decide_design(state, selector, number, "external")
        assert isinstance(decision.step, DesignStep)
        if skip <= 0:
            return decision.step, decision.reason
        _count(state, decision.step.operator, decision.step.parents)
        number, skip = number + 1, skip - 1


def _count(state: "CampaignState", operator: str, parents: Sequence[int]) -> None:
    """Count a design as asked for, so that the next request is another; the state is nobody else's."""
    state.operators[operator] += 1
    for parent in parents:
        state.uses[parent] += 1


def _index(state: "CampaignState", name: str) -> int:
    if name not in state.index:
        raise unknown("design", name, state.index)
    return state.index[name]


def _without_campaign(parents: Sequence[str]) -> Facts:
    """A request for a child of human designs."""
    from model_discovery.blocks.seed_designs import get_seed_design

    chosen = [get_seed_design(name) for name in (parents or (_HUMAN,))]
    reason = "there is no campaign: designs can be checked, and submitted once one has begun"
    return {
        "campaign": None,
        "instruction": "",
        **_asked(adding.operator_of([one.name for one in chosen]), reason),
        "parents": [_parent(one.name, one.tree) for one in chosen],
        "limits": {"scales": ["0.1M"]},
        "knowledge": {},
    }


def _asked(operator: str, reason: str) -> Facts:
    return {"operator": operator, "task": _TASKS[operator], "reason": reason}


def _parent(name: str, tree: "UnitTree") -> dict[str, Any]:
    return {"design": name, "map": tree.ascii(), "structure_hash": tree.structure_hash}
