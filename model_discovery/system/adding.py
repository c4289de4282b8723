"""A design from outside on its way into a campaign: refused early, checked, entered."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from model_discovery.config import SandboxLevel, parse_config
from model_discovery.errors import UserError, nearest
from model_discovery.system.folders import work_folder
from model_discovery.system.views import Facts

if TYPE_CHECKING:
    from model_discovery.blocks import UnitTree
    from model_discovery.checks import CheckReport
    from model_discovery.config import CampaignConfig
    from model_discovery.design_tree import CampaignRow, DesignTree, NewDesign
    from model_discovery.designers import Answer, DesignRequest
    from model_discovery.designers.requests import Operator

_OPERATORS: "tuple[Operator, ...]" = ("scratch", "mutation", "crossover")


def operator_of(parents: Sequence[str]) -> "Operator":
    """What a design of these parents is made by: the number of parents says it."""
    if len(parents) >= len(_OPERATORS) or len(set(parents)) < len(parents):
        raise UserError(
            f"{', '.join(parents)} cannot be the parents.", hint="none, one, or two different ones"
        )
    return _OPERATORS[len(parents)]


def enter(
    tree: "DesignTree",
    row: "CampaignRow",
    answer: "Answer",
    *,
    name: str = "",
    parents: Sequence[str] = (),
    level: SandboxLevel = "auto",
    edited: bool = False,
) -> "tuple[Facts, CheckReport]":
    """Check a design and bring it into a campaign that rests, as an external one.

    Call it under `DesignTree.campaign_lock`.

    Parameters
    ----------
    name
        Of the design; after its mixers and its hash unless told.
    parents
        Names of at most two designs of the campaign, first the one that it changes.
    edited
        Whether human units may have been edited under their names, as people do in a folder.

    Returns
    -------
    tuple
        What was entered, empty where the checks refused it; and their report.

    Raises
    ------
    UserError
        No such parent, a tree that does not hold together or is not whole, a name or structure that is there.
    """
    from model_discovery.blocks.design_folder import check_name, check_root
    from model_discovery.designers.external import answered_tree
    from model_discovery.designers.names import design_name
    from model_discovery.evolution import add_design

    config = parse_config(row.config)
    request = request_of(tree, row, parents, config, level)
    unit_tree = answered_tree(answer, request, edited=edited)
    check_root(unit_tree)
    if empty := unit_tree.unfilled():
        raise UserError(f"Nothing fills '{empty[0]}'.", hint="a design that is added is whole")
    name = name or design_name(unit_tree, [design.name for design in tree.designs(row.id)])
    check_name(name)
    _check_new(tree, row, name, unit_tree)
    report = _checked(unit_tree, request)
    if not report.ok:
        return {}, report
    added = add_design(tree, row, _new_design(name, unit_tree, answer, request, report))
    facts = {"design": added.name, "campaign": row.name, "parents": list(parents), "sizes": added.sizes}
    return facts | {"next": _next(tree, row, config)}, report


def _new_design(
    name: str, unit_tree: "UnitTree", answer: "Answer", request: "DesignRequest", report: "CheckReport"
) -> "NewDesign":
    """What enters the tree. All of the first parent is kept but for the change, which others gave."""
    from model_discovery.design_tree import NewDesign
    from model_discovery.designers.external import proposal_of

    proposal = proposal_of(answer, unit_tree, request)
    return NewDesign(
        name=name,
        origin="external",
        operator=request.operator,
        status="valid",
        proposal=proposal.model_dump(mode="json"),
        unit_tree=unit_tree.to_json(),
        structure_hash=unit_tree.structure_hash,
        sizes=dict(report.sizes),
        parents=tuple(
            (parent.name, proposal.path if place else "") for place, parent in enumerate(request.parents)
        ),
    )


def request_of(
    tree: "DesignTree",
    row: "CampaignRow",
    parents: Sequence[str],
    config: "CampaignConfig",
    level: SandboxLevel = "auto",
) -> "DesignRequest":
    """The request that a campaign makes for a design of these parents."""
    from model_discovery.blocks import UnitTree
    from model_discovery.designers import DesignLimits, DesignRequest, ParentDesign

    known = {design.name: design for design in tree.designs(row.id)}
    for parent in parents:
        if parent not in known:
            missing = f"has no design '{parent}' to be the parent.{nearest(parent, known)}"
            raise UserError(
                f"The campaign '{row.name}' {missing}", hint="name another (--parent NAME), or none"
            )
    return DesignRequest(
        designer="external",
        instruction=row.instruction,
        operator=operator_of(parents),
        parents=tuple(
            ParentDesign(name=parent, unit_tree=UnitTree.model_validate(tree.unit_tree(known[parent].id)))
            for parent in parents
        ),
        limits=DesignLimits(scales=config.scales, sandbox=level),
    )


def _check_new(tree: "DesignTree", row: "CampaignRow", name: str, unit_tree: "UnitTree") -> None:
    """What would be refused at the end is refused before the checks."""
    from model_discovery.design_tree import DuplicateDesign

    for design in tree.designs(row.id):
        same = design.structure_hash == unit_tree.structure_hash
        if design.name == name:
            raise UserError(
                f"The campaign '{row.name}' has {'this' if same else 'another'} design '{name}' already.",
                hint="" if same else "give it another name: a design does not change once it is in the tree",
            )
        if same:
            raise DuplicateDesign(name, design.name, same="structure")


def _checked(tree: "UnitTree", request: "DesignRequest") -> "CheckReport":
    """What every design of a campaign has to pass."""
    from model_discovery.designers import DesignCheck, open_sandbox

    with work_folder() as folder, open_sandbox(folder, request.limits.sandbox) as sandbox:
        return DesignCheck(sandbox, folder)(tree, request, 0)


def _next(tree: "DesignTree", row: "CampaignRow", config: "CampaignConfig") -> str:
    """What will come of it, in words."""
    scale, limit = next(iter(config.budget.runs.items()))
    used = sum(run.scale == scale and run.job_id is not None for run in tree.verifications(row.id))
    if not config.budget.designs:
        return f"{row.name} is a survey of human designs and will not run it"
    if used >= limit:
        return f"{row.name} has used its {limit} runs at {scale} and will not run it"
    return f"waits for its first run, one of {limit - used} left at {scale}"
