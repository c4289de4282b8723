"""What to do next: design or verify, and which; a pure function of the campaign's state.

The order of what is asked for:

1. every human baseline once at the lowest scale;
2. runs without which a comparison would be unfair: the best baseline of the scale below climbs first and gets
   the seeds the scale asks for; so does a design that leads the highest scale reached, if runs are plenty,
   and at the end the best design there;
3. a design, while fewer than half the pipeline is designs on their way or waiting for their first run;
4. a verification that the budget and the ladder open, as the selector chooses;
5. another design, while at most ``hold_unverified`` have not been run.

Who may climb is decided by the ladder: the top of the scale below. Only when no design is on its way any
more (the end of a campaign) everyone may, and extra seeds are allowed: until then open runs are kept for
better designs.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from model_discovery.evolution.evidence import Flags, Indices
from model_discovery.evolution.fitness import best_mean
from model_discovery.evolution.ladder import baselines_at, open_runs, places_at_the_top
from model_discovery.evolution.operators import PARENTS, enabled_operators, next_by_quota
from model_discovery.evolution.selectors import Choice, Runs, Selector
from model_discovery.evolution.state import CampaignState
from model_discovery.seeds import derive

_MOST_SEEDS = 5  # of one design at one scale, when a campaign has runs left over


@dataclass(frozen=True)
class DesignStep:
    """Ask ``designer`` for a design by ``operator`` from these parents (indices)."""

    operator: str
    designer: str
    parents: tuple[int, ...]


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
    rng = np.random.default_rng(derive(state.config.seed, "decision", number))
    if (due := _baseline_due(state) or _seeds_due(state)) is not None:
        return due
    waiting = len(state.waiting) + state.budgets.designs.reserved
    may_design = _may_design(state)
    hold = state.config.design.hold_unverified
    if may_design and waiting < min(hold, max(1, state.config.in_flight // 2)):
        return _design(state, selector, rng)
    if len(runs := open_candidates(state)):
        return _verify(state, selector, runs, rng)
    if may_design and waiting < hold:
        return _design(state, selector, rng)
    return None


def _may_design(state: CampaignState) -> bool:
    """A design is worth asking for when the budget has it and a first run will be left for it."""
    unrun = len(state.waiting) + state.budgets.designs.reserved
    return state.budgets.may_design() and not state.patience_lost and state.budgets.runs[0].left > unrun


def at_the_end(state: CampaignState) -> bool:
    """No design is on its way any more, and every one that can be was run."""
    nothing_comes = not _may_design(state) and not state.budgets.designs.reserved
    return nothing_comes and not state.pending_first_runs and not _first_runs(state)


# -- runs that are owed


def _baseline_due(state: CampaignState) -> Decision | None:
    """The first human baseline that was never run."""
    for index in _first_runs(state):
        if state.designs[index].baseline:
            return _run(state, index, 0, "human baseline")
    return None


def _seeds_due(state: CampaignState) -> Decision | None:
    """A run without which the comparison at a scale would be unfair, the highest scale first."""
    highest = state.highest_reached()
    for scale in range(len(state.scales) - 1, -1, -1):
        if _open_runs(state, scale) <= 0:
            continue
        if (scale > 0 or highest == 0) and (index := _baseline_owed(state, scale)) is not None:
            return _run(state, index, scale, "the baseline that the others are compared with at this scale")
        if scale == highest and (index := _leader_owed(state, scale)) is not None:
            return _run(state, index, scale, "best here: more seeds before it may be called so")
    return None


def _baseline_owed(state: CampaignState, scale: int) -> int | None:
    """The baseline that has to run at a scale before designs do, or needs a further seed there."""
    usable = np.flatnonzero(state.baseline & ~state.failed[:, scale])
    needed = state.seeds_needed(scale)
    begun = usable[state.started[usable, scale] > 0]
    if scale == 0:
        if state.pending_first_runs or (best := best_mean(state.evidence, 0, begun)) is None:
            return None
        return best if state.started[best, 0] < needed else None
    for index in begun:
        if state.started[index, scale] < needed:
            return int(index)
    below = usable[state.started[usable, scale] == 0]
    if state.pending[state.baseline, scale - 1].any():
        return None  # the best baseline below is not known yet
    opened = _opened(state, scale)
    if len(begun) >= baselines_at(opened, needed):
        return None
    return best_mean(state.evidence, scale - 1, below)


def _leader_owed(state: CampaignState, scale: int) -> int | None:
    """The design that leads a scale, when it lacks seeds there; at the end the best one, whether it leads
    or not.

    Before the end only where enough runs are left to give another design a whole comparison.
    """
    usable, needed = ~state.failed[:, scale], state.seeds_needed(scale)
    best = best_mean(state.evidence, scale, np.flatnonzero(usable))
    end = _ends(state)[scale] and not state.pending[:, scale].any() and not len(_climbers(state, scale, True))
    if end and best is not None and state.baseline[best]:
        best = best_mean(state.evidence, scale, np.flatnonzero(usable & ~state.baseline))
    if best is None or (missing := needed - int(state.started[best, scale])) <= 0:
        return None
    return best if end or _runs_left(state, scale) >= missing + needed else None


# -- runs that may be chosen


def open_candidates(state: CampaignState) -> Runs:
    """Every run that budget and ladder allow now, owed ones aside."""
    rows = [_candidates_at(state, scale, end) for scale, end in enumerate(_ends(state))]
    return Runs(
        design=np.concatenate(rows),
        scale=np.repeat(np.arange(len(rows)), [len(designs) for designs in rows]),
    )


def _ends(state: CampaignState) -> list[bool]:
    """For each scale, whether it is at its end: no design will come up from below any more."""
    ends, settled = [], at_the_end(state)
    for scale in range(len(state.scales)):
        ends.append(settled)
        settled = settled and not _first_time(state, scale).any() and not len(_climbers(state, scale, True))
    return ends


def _first_time(state: CampaignState, scale: int) -> Flags:
    """Designs that are running at a scale without a loss there yet."""
    flags: Flags = (state.pending[:, scale] > 0) & (state.evidence.count[:, scale] == 0)
    return flags


def _candidates_at(state: CampaignState, scale: int, end: bool) -> Indices:
    """Designs that may run at a scale: first runs or climbers, and at its end those that may have more
    seeds.
    """
    fresh = np.array(_first_runs(state), dtype=np.intp) if scale == 0 else _climbers(state, scale, end)
    kept = state.seeds_needed(scale) - 1 if _first_time(state, scale).any() else 0  # for the best of these
    if not end or state.patience_lost or _open_runs(state, scale) <= kept:
        return fresh
    more = (state.evidence.count[:, scale] > 0) & (state.started[:, scale] < _MOST_SEEDS)
    return np.concatenate([fresh, np.flatnonzero(more & ~state.failed[:, scale])])


def _first_runs(state: CampaignState) -> list[int]:
    """Designs that were never run, the longest waiting first; none when the lowest scale is spent."""
    return list(state.waiting) if state.budgets.runs[0].left > 0 else []


def _climbers(state: CampaignState, scale: int, end: bool) -> Indices:
    """Designs that may run at a scale for the first time."""
    opened = _open_runs(state, scale)
    left = opened if end else _runs_left(state, scale)
    if scale == 0 or opened <= 0 or left < state.seeds_needed(scale):
        return np.empty(0, dtype=np.intp)  # the last runs belong to the best there
    if not (end or _is_time_to_climb(state, scale)):
        return np.empty(0, dtype=np.intp)
    below = state.evidence.count[:, scale - 1] > 0
    fresh: Flags = below & (state.started[:, scale] == 0) & ~state.failed[:, scale]
    if not end:
        fresh &= ~state.baseline
        places = places_at_the_top(int(below.sum()), state.config.ladder.ratio)
        losses = state.evidence.mean[below, scale - 1]
        if places < len(losses):
            fresh &= state.evidence.mean[:, scale - 1] <= np.partition(losses, places - 1)[places - 1]
    return np.flatnonzero(fresh)


def _is_time_to_climb(state: CampaignState, scale: int) -> bool:
    """Climbs are spread evenly over the runs of the scale below, the last one at its end.

    Designs get better as a campaign goes on; where only a few can climb, the first comers would take the
    places.
    """
    needed, reach = state.seeds_needed(scale), _reach(state, scale)
    climbs = reach - baselines_at(reach, needed) * needed - (needed - 1)
    climbed = int((state.started[:, scale] > 0)[~state.baseline].sum())
    return state.budgets.runs[scale - 1].used * climbs >= _reach(state, scale - 1) * (climbed + 1)


def _opened(state: CampaignState, scale: int) -> int:
    """Runs that the ladder has opened at a scale so far, used ones included."""
    account = state.budgets.runs[scale]
    if scale == 0:
        return account.limit
    return open_runs(state.budgets.runs[scale - 1].used, state.config.ladder.ratio, account.limit)


def _runs_left(state: CampaignState, scale: int) -> int:
    """Runs not started yet at a scale, of those that budget and ladder can open by the end."""
    return _reach(state, scale) - state.budgets.runs[scale].started


def _reach(state: CampaignState, scale: int) -> int:
    """Runs that budget and ladder can open at a scale by the end."""
    limit = state.budgets.runs[0].limit
    for account in state.budgets.runs[1 : scale + 1]:
        limit = open_runs(limit, state.config.ladder.ratio, account.limit)
    return limit


def _open_runs(state: CampaignState, scale: int) -> int:
    """Runs that may be started at a scale now; at the lowest, those that no design in sight will need."""
    left = _opened(state, scale) - state.budgets.runs[scale].started
    return left - len(state.waiting) - state.budgets.designs.reserved if scale == 0 else left


# -- steps


def _run(
    state: CampaignState,
    design: int,
    scale: int,
    reason: str,
    choice: Choice | None = None,
    runs: Runs | None = None,
) -> Decision:
    ranked = choice.ranked if choice and runs else ()
    labels = [
        f"{state.designs[int(runs.design[row])].name}@{state.scales[int(runs.scale[row])]}"
        for row, _ in ranked
        if runs is not None
    ]
    scores = {label: _rounded(score) for label, (_, score) in zip(labels, ranked, strict=True)}
    step = RunStep(design, scale, int(state.started[design, scale]))
    return Decision(step, reason, candidates=list(scores), scores=scores)


def _verify(state: CampaignState, selector: Selector, runs: Runs, rng: np.random.Generator) -> Decision:
    choice = selector.run(state.view, runs, rng)
    row = choice.picked[0]
    return _run(state, int(runs.design[row]), int(runs.scale[row]), choice.reason, choice, runs)


def _design(state: CampaignState, selector: Selector, rng: np.random.Generator) -> Decision:
    pool = state.parents_pool()
    shares = enabled_operators(state.config.design, designs=len(state.designs), parents=len(pool))
    operator = next_by_quota(shares, state.operators)
    designer = next_by_quota(state.config.designers, state.designers)
    if not (wanted := PARENTS[operator]):
        return Decision(DesignStep(operator, designer, ()), "operator due by quota; no parent")
    choice = selector.parents(state.view, pool, wanted, rng)
    scores = {state.designs[index].name: _rounded(score) for index, score in choice.ranked}
    step = DesignStep(operator, designer, choice.picked)
    return Decision(step, f"operator due by quota; {choice.reason}", candidates=list(scores), scores=scores)


def _rounded(score: float) -> float:
    return float(f"{score:.5g}")
