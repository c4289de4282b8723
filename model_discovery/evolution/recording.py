"""From results, as workers return them, to what the tree stores and what the loop remembers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from model_discovery.blocks.unit_tree import UnitTree
from model_discovery.config.agents import LLM_DESIGNERS
from model_discovery.design_tree import JobRow, NewDesign, NewVerification, VerificationRow
from model_discovery.design_tree.rows import Origin
from model_discovery.designers.knowledge import FailedIdea, Prediction
from model_discovery.designers.names import design_name
from model_discovery.designers.requests import Proposal
from model_discovery.evolution.policy import DesignStep
from model_discovery.evolution.sessions import Session
from model_discovery.evolution.state import CampaignState, Design, Estimate, Run

Json = Mapping[str, Any]

_ERROR_LETTERS = 200


@dataclass(frozen=True)
class Fruitless:
    """A design job that brought no design, and why; ``failures`` counts the findings of its attempts by
    check, ``twin`` names the design that has the same structure.
    """

    why: str
    failures: dict[str, int]
    twin: str = ""


# -- verifications


def new_verification(
    design_id: int, scale: str, recipe_hash: str, seed: int, result: Json | None, error: str
) -> NewVerification:
    """The row of a finished verification; ``result`` is a report, or None when the job itself failed."""
    if result is None:
        return NewVerification(
            design_id, scale, recipe_hash, seed, status="failed", error=error or "no report"
        )
    held_out = result.get("held_out")
    losses = {
        "held_out": held_out,
        "bits_per_byte": result.get("bits_per_byte"),
        "unigram": result.get("unigram"),
    }
    status, error = str(result["status"]), str(result.get("error") or "")
    if status == "ok" and held_out is None:
        status, error = "failed", "the report says ok but has no held-out loss"
    evidence = dict(result.get("evidence") or {})
    cost = {**(result.get("cost") or {}), "size": result.get("size"), "tokens": evidence.get("tokens")}
    return NewVerification(
        design_id, scale, recipe_hash, seed, status=status, error=error,
        losses={name: value for name, value in losses.items() if value is not None},
        scores=dict(result.get("scores") or {}), curve=list(result.get("curve") or ()), cost=cost,
        environment={**evidence, "held_out_curve": result.get("held_out_curve") or []},
        artefacts=dict(result.get("artefacts") or {}),
    )  # fmt: skip


def run_of(row: NewVerification | VerificationRow, scale: int) -> Run:
    """What the loop remembers of a verification; the same from a new row and from a stored one."""
    size = row.cost.get("size") or {}
    curve = row.environment.get("held_out_curve") or ()
    scores = {
        name: found for name, score in row.scores.items() if "/" not in name and (found := _estimate(score))
    }
    return Run(
        scale=scale, seed=row.seed, status=row.status, held_out=_estimate(row.losses.get("held_out")),
        bits_per_byte=_estimate(row.losses.get("bits_per_byte")), scores=scores,
        parameters=size.get("total"), non_embedding=size.get("non_embedding"), tokens=row.cost.get("tokens"),
        held_out_curve=tuple((int(tokens), float(loss)) for tokens, loss in curve),
        error=_one_line(row.error),
    )  # fmt: skip


def _one_line(error: str) -> str:
    """The first line of an error, the same before and after it was stored."""
    first = next(iter(error.strip().splitlines()), "")
    return "".join(letter if letter.isprintable() else "?" for letter in first)[:_ERROR_LETTERS]


def _estimate(measure: Json | None) -> Estimate | None:
    if not measure or not math.isfinite(measure["value"]) or not math.isfinite(measure["stderr"]):
        return None
    return Estimate(float(measure["value"]), float(measure["stderr"]))


# -- designs


def new_design(
    state: CampaignState, step: DesignStep, job: JobRow, result: Json | None, error: str
) -> NewDesign | Fruitless:
    """The design that a job brought, or why there is none.

    There is none when the job failed, when the designer gave up, and when it made what the campaign has
    already.
    """
    if result is None:
        return Fruitless(error or "no result", {})
    failures = _failures(result.get("attempts") or ())
    if result["status"] != "valid" or not result.get("unit_tree"):
        return Fruitless(str(result.get("why") or "no valid design after all attempts"), failures)
    tree = UnitTree.model_validate(result["unit_tree"])
    if tree.structure_hash in state.hashes:
        twin = state.designs[state.hashes[tree.structure_hash]].name
        return Fruitless(f"the same structure as {twin}", failures, twin)
    proposal = dict(result.get("proposal") or {})
    asked = job.request["parents"]
    parents = [(parent["name"], UnitTree.model_validate(parent["unit_tree"])) for parent in asked]
    return NewDesign(
        name=design_name(tree, state.index), origin=origin_of(step.designer), operator=step.operator,
        status="valid", proposal=proposal, unit_tree=result["unit_tree"],
        structure_hash=tree.structure_hash, sizes=dict(result.get("sizes") or {}),
        parents=_base_first(tree, parents, str(proposal.get("path") or "")),
    )  # fmt: skip


def remember(new: NewDesign, design_id: int, state: CampaignState) -> Design:
    """What the loop keeps of a design that entered the tree."""
    title, prediction = claim_of(new.proposal or {})
    return Design(
        id=design_id, name=new.name, origin=new.origin, operator=new.operator,
        structure_hash=new.structure_hash or "", parents=tuple(state.index[name] for name, _ in new.parents),
        family=family_of(new.unit_tree or {}), title=title, prediction=prediction,
    )  # fmt: skip


def claim_of(words: Json) -> tuple[str, Prediction | None]:
    """Title and prediction, from a proposal or from the event that goes with a new design."""
    prediction = words.get("prediction")
    return str(words.get("title") or ""), prediction and Prediction.model_validate(prediction)


def session_of(step: DesignStep, made: NewDesign | Fruitless, result: Json | None) -> Session:
    """What a design job left besides its design."""
    fruitful, found = isinstance(made, NewDesign), result or {}
    reason, twin = (made.why, made.twin) if isinstance(made, Fruitless) else ("", "")
    rejected = [FailedIdea.model_validate(idea) for idea in found.get("rejected") or ()]
    words = found.get("proposal")
    proposal = Proposal.model_validate(words) if words and step.designer in LLM_DESIGNERS else None
    if proposal is not None and twin:
        rejected.append(FailedIdea(title=proposal.title, abstract=proposal.summary, reason=reason))
        proposal = None
    return Session(
        designer=step.designer, fruitful=fruitful, attempts=len(found.get("attempts") or ()),
        spending=found.get("spending"), limit=str(found.get("limit") or ""), reason=reason,
        twin=twin, proposal=None if fruitful else proposal, rejected=tuple(rejected),
    )  # fmt: skip


def family_of(unit_tree: Json) -> str:
    """The kinds of units a design is made of, norms aside; within a family only values and places differ."""
    units = (unit_tree.get("units") or {}).values()
    return "+".join(sorted({str(unit["name"]) for unit in units if unit["role"] != "norm"}))


def origin_of(designer: str) -> Origin:
    """The origin that a design of this designer is stored with."""
    return "genetic" if designer == "genetic" else "agentic" if designer == "agentic" else "external"


def _base_first(
    tree: UnitTree, parents: Sequence[tuple[str, UnitTree]], path: str
) -> tuple[tuple[str, str], ...]:
    """Parents with what was taken from each: all (``""``) of the one most is kept of, ``path`` from the
    others.
    """
    kept = sorted(parents, key=lambda parent: -len(parent[1].diff(tree).reused))
    return tuple((name, path if position else "") for position, (name, _) in enumerate(kept))


def _failures(attempts: Any) -> dict[str, int]:
    counts: dict[str, int] = {}
    for attempt in attempts:
        for finding in attempt.get("findings") or ():
            if finding.get("severity", "error") == "error":
                counts[finding["check"]] = counts.get(finding["check"], 0) + 1
    return counts
