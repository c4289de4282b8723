"""What to do next: design or verify, and which; a pure function of the campaign's state.

A campaign without a design budget runs its human designs and nothing else. Others, in this order: a run that
is owed (`owed`); a design, while fewer than half the pipeline is designs on their way or waiting for their
first run; a verification that is open (`openings`), as the selector chooses;
another design, while at most ``hold_unverified`` have not been run.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from model_discovery.config.agents import LLM_DESIGNERS
from model_discovery.evolution.openings import Openings
from model_discovery.evolution.operators import PARENTS, enabled_operators, next_by_quota
from model_discovery.evolution.owed import owed_run
from model_discovery.evolution.selectors import Runs, Selector
from model_discovery.evolution.state import CampaignState
from model_discovery.seeds import derive


@dataclass(frozen=True)
class DesignStep:
    """Ask ``designer`` for a design by ``operator`` from these parents (indices).

    ``unfinished`` is the number of the job whose proposal, accepted and not implemented, is taken up again.
    """

    operator: str
    designer: str
    parents: tuple[int, ...]
    unfinished: int | None = None


@dataclass(frozen=True)
class RunStep:
    """Verify a design (index) at a scale (index) with a seed."""

    design: int
    scale: int
    seed: int


@dataclass(frozen=True)
class Decision:
    """A step, and what was looked at for it: candidates and scores by label, and the reason in words."""

    step: DesignStep | RunStep
    reason: str
    candidates: list[Any] = field(default_factory=list)
    scores: dict[str, float] = field(default_factory=dict)


def decide(state: CampaignState, selector: Selector, number: int) -> Decision | None:
    """Decision ``number`` of a campaign, or None when nothing can be done before another result is in."""
    if not state.config.budget.designs:
        return _survey(state)
    openings = Openings(state)
    if (owed := owed_run(openings)) is not None:
        return _run(state, *owed)
    rng = np.random.default_rng(derive(state.config.seed, "decision", number))
    unrun = len(state.waiting) + state.budgets.designs.reserved
    hold = state.config.design.hold_unverified
    if openings.may_design and unrun < min(hold, max(1, state.config.in_flight // 2)):
        return _design(state, selector, rng)
    if len(runs := openings.candidates()):
        return _verify(state, selector, runs, rng)
    if openings.may_design and unrun < hold:
        return _design(state, selector, rng)
    return None


def decide_design(state: CampaignState, selector: Selector, number: int, designer: str) -> Decision:
    """What ``designer`` would be asked for as decision ``number``, whether or not a design is due."""
    rng = np.random.default_rng(derive(state.config.seed, "decision", number))
    return _new_design(state, selector, rng, designer)


# -- steps


def _survey(state: CampaignState) -> Decision | None:
    """The next run of a campaign without designs: each human design once, then each with the next seed."""
    for scale, account in enumerate(state.budgets.runs):
        for seed in range(state.seeds_needed(scale) if account.left > 0 else 0):
            for index in state.baselines:
                if state.started[index, scale] <= seed:
                    return _run(state, index, scale, "every human design with every seed")
    return None


def _run(state: CampaignState, design: int, scale: int, reason: str) -> Decision:
    return Decision(RunStep(design, scale, int(state.started[design, scale])), reason)


def _verify(state: CampaignState, selector: Selector, runs: Runs, rng: np.random.Generator) -> Decision:
    choice = selector.run(state.view, runs, rng)
    row = choice.picked[0]
    scores = {
        f"{state.designs[runs.design[row]].name}@{state.scales[runs.scale[row]]}": _rounded(score)
        for row, score in choice.ranked
    }
    chosen = _run(state, int(runs.design[row]), int(runs.scale[row]), choice.reason)
    return Decision(chosen.step, chosen.reason, candidates=list(scores), scores=scores)


def _design(state: CampaignState, selector: Selector, rng: np.random.Generator) -> Decision:
    designer = next_by_quota(state.designers_left, state.designers)
    if designer in LLM_DESIGNERS and (held := state.sessions.waiting()) is not None:
        step = DesignStep(held.operator, designer, held.parents, held.job)
        return Decision(step, f"session {held.failed + 1} of a proposal that passed its review")
    return _new_design(state, selector, rng, designer)


def _new_design(
    state: CampaignState, selector: Selector, rng: np.random.Generator, designer: str
) -> Decision:
    pool = state.parents_pool()
    shares = enabled_operators(state.config.design, designs=len(state.designs), parents=len(pool))
    operator = next_by_quota(shares, state.operators)
    if not (wanted := PARENTS[operator]):
        return Decision(DesignStep(operator, designer, ()), "operator due by quota; no parent")
    choice = selector.parents(state.view, pool, wanted, rng)
    scores = {state.designs[index].name: _rounded(score) for index, score in choice.ranked}
    step = DesignStep(operator, designer, choice.picked)
    return Decision(step, f"operator due by quota; {choice.reason}", candidates=list(scores), scores=scores)


def _rounded(score: float) -> float:
    return float(f"{score:.5g}")
