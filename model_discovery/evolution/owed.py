"""Runs that are owed whatever a selector thinks: without them a comparison would be unfair."""

import numpy as np

from model_discovery.evolution.fitness import best_mean
from model_discovery.evolution.ladder import baselines_at
from model_discovery.evolution.openings import Openings

Owed = tuple[int, int, str]  # design, scale, reason


def owed_run(openings: Openings) -> Owed | None:
    """The run that comes before all others, if any.

    Every human baseline once at the lowest scale. Then, from the highest scale down: the best baseline of
    the scale below, with the seeds the scale asks for, since all others are compared with it; and at the
    highest scale reached the seeds that its leader lacks.
    """
    state = openings.state
    for index in openings.first_runs:
        if state.designs[index].baseline:
            return index, 0, "human baseline"
    highest = state.highest_reached()
    for scale in range(len(state.scales) - 1, -1, -1):
        if openings.open_now(scale) <= 0:
            continue
        if (baseline := _baseline(openings, scale)) is not None:
            return baseline, scale, "the baseline that designs are compared with at this scale"
        if scale == highest and (leader := _leader(openings, scale)) is not None:
            return leader, scale, "leads here: more seeds before it may be called best"
    return None


def _baseline(openings: Openings, scale: int) -> int | None:
    """The baseline that has to run at a scale before designs do, or lacks seeds there."""
    state, needed = openings.state, openings.state.seeds_needed(scale)
    baselines = np.array(state.baselines, dtype=np.intp)
    usable = baselines[~state.failed[baselines, scale]]
    begun = usable[state.started[usable, scale] > 0]
    best = best_mean(state.evidence, scale, begun)
    if scale == 0:
        alone = best is not None and state.highest_reached() == 0 and not state.pending_first_runs
        return best if best is not None and alone and state.started[best, 0] < needed else None
    for index in begun if best is None else [best]:
        if state.started[index, scale] < needed:
            return int(index)
    if (
        len(begun) >= baselines_at(openings.opened(scale), needed)
        or state.pending[baselines, scale - 1].any()
    ):
        return None  # enough of them, or the best one below is not known yet
    return best_mean(state.evidence, scale - 1, usable[state.started[usable, scale] == 0])


def _leader(openings: Openings, scale: int) -> int | None:
    """The design that leads a scale, where it lacks seeds; when the scale is over its best one, leading or
    not.

    Before that only where enough runs are left to give another design a whole comparison.
    """
    state, needed = openings.state, openings.state.seeds_needed(scale)
    usable, over = ~state.failed[:, scale], openings.is_over(scale)
    if over:
        usable &= ~state.baseline
        # Once begun, a comparison is finished: two designs that lead by turns would both lack seeds.
        begun = usable & (state.started[:, scale] > 1) & (state.started[:, scale] < needed)
        usable = begun if begun.any() else usable
    leader = best_mean(state.evidence, scale, np.flatnonzero(usable))
    if leader is None or (missing := needed - int(state.started[leader, scale])) <= 0:
        return None
    return leader if over or openings.left(scale) >= missing + needed else None
