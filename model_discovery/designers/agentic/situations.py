"""Situations without a campaign: those of the benchmark, and examples that show what a prompt looks like."""

from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from model_discovery.blocks.seed_designs import get_seed_design, seed_designs
from model_discovery.blocks.unit_tree import UnitTree
from model_discovery.checks.report import CheckReport, Finding
from model_discovery.config import AgentsConfig
from model_discovery.designers.agentic import sources
from model_discovery.designers.agentic.brief import Brief, Twin, brief_of
from model_discovery.designers.agentic.schemas import Plan, ProposalDraft, Review, UnitCode
from model_discovery.designers.agentic.steps import ROLES
from model_discovery.designers.agentic.yaml_lines import load_yaml
from model_discovery.designers.knowledge import Prediction
from model_discovery.designers.requests import DesignLimits, DesignRequest, Operator, ParentDesign
from model_discovery.errors import UserError
from model_discovery.library.types import Hit, Paper
from model_discovery.seeds import derive
from model_discovery.shipped import shipped_folder


class Situation(BaseModel):
    """What is asked of a designer: an instruction, an operator, human designs as parents."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    operator: Operator
    parents: tuple[str, ...] = ()
    instruction: str


class Situations(BaseModel):
    """The benchmark; results compare only under one version."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int
    situations: tuple[Situation, ...]


@cache
def load_situations(file: Path | None = None) -> Situations:
    """The situations of the benchmark, in their order."""
    path = shipped_folder("etc/agent_bench") / "situations.yaml" if file is None else file
    data, lines = load_yaml(path)
    try:
        return Situations.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        line = lines.of(tuple(first["loc"]))
        raise UserError(f"{path}, line {line}: {first['msg']}.") from None


def in_turn() -> tuple[Situation, ...]:
    """The situations, operators taking turns, so that the first few have all of them."""
    groups: dict[str, list[Situation]] = {}
    for situation in load_situations().situations:
        groups.setdefault(situation.operator, []).append(situation)
    turns = zip_longest(*groups.values())
    return tuple(situation for turn in turns for situation in turn if situation is not None)


def request_of(
    situation: Situation, agents: AgentsConfig, *, seed: int = 0, limits: DesignLimits | None = None
) -> DesignRequest:
    """The request of a situation, as a campaign without any results would make it."""
    parents = (ParentDesign(name=name, unit_tree=get_seed_design(name).tree) for name in situation.parents)
    return DesignRequest(
        designer="agentic",
        instruction=situation.instruction,
        operator=situation.operator,
        parents=tuple(parents),
        limits=limits or DesignLimits(),
        seed=derive(seed, "situation", situation.name),
        avoid=tuple(design.tree.structure_hash for design in seed_designs().values()),
        agents=agents,
    )


def example_variables(role: str, step: str, request: DesignRequest) -> dict[str, Any]:
    """What a prompt could be told: the request itself, and examples of what earlier steps might have said."""
    brief = brief_of(request)
    path, tree = _place(request)
    place = brief.place(tree, path)
    unit = request.parents[0].unit_tree.unit(path) if request.parents else sources.example_unit(place.role)
    draft = _draft(brief, path, unit.docstring)
    possible: dict[str, Any] = {
        "brief": brief,
        "notes": ["example: a decay that depends on the input helps recall more than a fixed one"],
        "hits": [_HIT],
        "round": 1,
        "rounds": 3,
        "proposal": draft,
        "review": _REVIEW,
        "twin": None,
        "problem": "",
        "tried": ["example: an earlier try, and what was held against it"],
        "nearest": [
            Twin("Example of an earlier proposal", "What it said.", 0.6, "trained: level with its parent")
        ],
        "tree": tree,
        "open_slots": [path],
        "history": [],
        "path": path,
        "plan": Plan(path=path, purpose="example of a plan", inputs="x (B, T, D)", slots="none"),
        "code": UnitCode(explanation="Example: the unit that stands there.", source=unit.source),
        "report": _REPORT,
        "judgement": None,
        "findings": [],
    }
    return {name: possible[name] for name in ROLES[role][step].variables}


def _place(request: DesignRequest) -> tuple[str, UnitTree | None]:
    """The first mixer of the first parent, opened; the root of a new block where there is none."""
    tree = request.parents[0].unit_tree if request.parents else None
    if tree is None or not tree.paths():
        return "", None
    path = next((path for path in tree.paths() if tree.slot_role(path) == "sequence_mixer"), tree.paths()[0])
    return path, tree.graft(path, None)


def _draft(brief: Brief, path: str, equations: str) -> ProposalDraft:
    return ProposalDraft(
        title="Example of a proposal",
        abstract="What a proposer would say in a paragraph.",
        motivation="Example: what is wanting in the parents.",
        changes=[f"Example: another unit at {path or 'the root'}."],
        paths=[path],
        equations=equations,
        pseudo_code="",
        expected_effect="A lower loss.",
        prediction=Prediction(amount=0.02, because="of the example"),
        risks=[],
        references=list(brief.references),
    )


_HIT = Hit(
    paper=Paper(id="example", title="Example of a paper"),
    passage="What a search would find.",
    section="idea",
    score=1.0,
    source="cards",
)
_REVIEW = Review(
    novelty=2.5, soundness=4, effect=3, efficiency=4, scalability=4, feasibility=4.5, rating=2.5,
    concerns=["Example of a concern."], suggestions=["Example of a suggestion."],
)  # fmt: skip
_REPORT = CheckReport(
    ok=False,
    stages=("source", "build", "forward", "tests", "causality"),
    findings=(
        Finding(
            check="causality",
            where="example line 1",
            measured="example: position 63 changed by 0.2 when position 64 did",
            limit="1e-4 of what the future changes",
            hint="look for a sum, a norm or a shift over time that is not masked",
        ),
    ),
)
