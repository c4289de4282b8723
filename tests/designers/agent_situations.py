"""Situations of a design session for tests of prompts: a request with everything a campaign can know."""

from typing import Any

from model_discovery.blocks.seed_designs import seed_designs
from model_discovery.checks.report import CheckReport, Finding
from model_discovery.designers.agentic.brief import Twin, brief_of
from model_discovery.designers.agentic.schemas import Judgement, Plan, ProposalDraft, Review, UnitCode
from model_discovery.designers.agentic.steps import ROLES
from model_discovery.designers.knowledge import (
    FailedIdea,
    Idea,
    Knowledge,
    KnownDesign,
    Prediction,
    ScaleResult,
    UnitStatistic,
)
from model_discovery.designers.requests import DesignLimits, DesignRequest, Operator, ParentDesign
from model_discovery.library.types import Hit, Paper

PARENTS: dict[Operator, tuple[str, ...]] = {
    "mutation": ("retnet",),
    "crossover": ("mamba2", "window_transformer"),
    "scratch": (),
}
KNOWLEDGE = Knowledge(
    designs=(
        KnownDesign(
            name="retnet", relation="parent", origin="seed", title="RetNet",
            results=(ScaleResult(scale="0.1M", seeds=3, loss=3.4321, stderr=0.0061, gain=-1.2,
                                 scores={"blimp": (0.6123, 0.0081)}),),
        ),
        KnownDesign(
            name="retention_short_4f2a", relation="sibling", origin="agentic", operator="mutation",
            parents=("retnet",), title="Retention after a short convolution",
            summary="A convolution of width 4 before queries and keys.",
            results=(ScaleResult(scale="0.1M", seeds=1, loss=3.4410, stderr=0.0102, gain=-1.9,
                                 over_parent=-0.7),),
            verdict="wrong",
        ),
        KnownDesign(
            name="retention_slow_9c1d", relation="sibling", origin="genetic", operator="mutation",
            parents=("retnet",), status="refused by the checks: causality",
        ),
        KnownDesign(
            name="transformer_pp", relation="baseline", origin="seed", title="Transformer++",
            results=(ScaleResult(scale="0.1M", seeds=3, loss=3.4002, stderr=0.0055),),
        ),
    ),
    unit_statistics=(UnitStatistic(unit="Retention", role="sequence_mixer", effect=-0.03, stderr=0.01,
                                   designs=6),),
    ideas=(Idea(design="retention_short_4f2a", title="Retention after a short convolution",
                claim="Neighbours help keys.", verdict="wrong", prediction="loss lower than its parent",
                evidence="-0.7 standard errors"),),
    failed=(FailedIdea(title="Retention without a gate", reason="rated 2.0: nothing is gained"),),
)  # fmt: skip
PREDICTION = Prediction(amount=0.01, because="heads forget at paces that fit the text")
DRAFT = ProposalDraft(
    title="Retention with paces that the input sets",
    abstract="Every head of a retention layer forgets at a pace that depends on the present token.",
    motivation="The fixed paces of retnet fit no text in particular: -1.2 standard errors.",
    changes=["The pace of every head becomes a function of the input."],
    paths=["mixer"],
    equations="a_t = sigmoid(W_a x_t + b)^(1/16), S_t = a_t S_{t-1} + k_t v_t^T, o_t = q_t S_t",
    pseudo_code="log_a = logsigmoid(W_a x + b) / 16\ny = scalar_decay(q, k, v, log_a)",
    expected_effect="A lower loss on long sentences.",
    prediction=PREDICTION,
    risks=["The gates saturate."],
    references=["2307.08621"],
)
HITS = [
    Hit(
        paper=Paper(id="sun2023_retnet", title="Retentive network", authors=("Y. Sun", "L. Dong"), year=2023,
                    arxiv="2307.08621", implemented_by=("Retention",)),
        passage="Every head forgets at a fixed pace.", section="idea", score=0.5, source="cards",
    )
]  # fmt: skip


def request_of(operator: Operator) -> DesignRequest:
    """A request with parents and with everything that a campaign may know."""
    seeds = seed_designs()
    return DesignRequest(
        designer="agentic", instruction="a mixer that forgets what it should", operator=operator,
        parents=tuple(ParentDesign(name=name, unit_tree=seeds[name].tree) for name in PARENTS[operator]),
        references=("2307.08621",), limits=DesignLimits(scales=("0.1M", "0.4M")), knowledge=KNOWLEDGE,
    )  # fmt: skip


def variables_of(role: str, step: str, operator: Operator) -> dict[str, Any]:
    """Everything that the prompt of a step may use."""
    request = request_of(operator)
    tree = request.parents[0].unit_tree.graft("mixer", None) if request.parents else None
    source = seed_designs()["retnet"].tree.unit("mixer").source
    report = CheckReport(
        ok=False, stages=("source", "build", "forward"),
        findings=(Finding(check="forward", where="Retention line 54, T=1",
                          measured="RuntimeError: shapes do not fit", limit="no exception",
                          hint="forward must work for any batch and length, from 1 token on"),),
    )  # fmt: skip
    possible: dict[str, Any] = {
        "brief": brief_of(request),
        "notes": ["Decays that depend on the input help recall."],
        "hits": HITS,
        "round": 2,
        "rounds": 3,
        "proposal": DRAFT.model_copy(update={"paths": ["mixer" if tree is not None else ""]}),
        "review": Review(novelty=2, soundness=4, effect=3, efficiency=4, scalability=4, feasibility=5,
                         rating=2.5, concerns=["This is gated retention."],
                         suggestions=["Say what differs."]),
        "twin": Twin("Gated retention", "Retention with a gate for each head.", 0.93, "trained, wrong"),
        "problem": "there is no slot path 'mixr' in retnet (near: mixer)",
        "tried": ["draft 1: rated 2.5", "draft 2: a duplicate of Gated retention"],
        "nearest": [Twin("Gated retention", "Retention with a gate for each head.", 0.71, "trained, wrong")],
        "tree": tree,
        "open_slots": ["mixer"],
        "history": ["mixer: rated 2, the unit ignored the input"],
        "path": "mixer" if tree is not None else "",
        "plan": Plan(path="mixer", purpose="Retention whose paces follow the input.",
                     inputs="x (B, T, D); may read positions.", slots="none"),
        "code": UnitCode(explanation="A scalar decay from a projection.", source=source),
        "report": report,
        "judgement": Judgement(follows=2, clear=4, new=1, rating=2, concerns=["The paces are fixed."],
                               suggestions=["Compute them from x."]),
        "findings": [Finding(check="gradients", severity="warning", where="bias", measured="small", limit="",
                             hint="")],
    }  # fmt: skip
    return {name: possible[name] for name in ROLES[role][step].variables}
