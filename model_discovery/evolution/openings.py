"""Which runs budget and ladder open: first runs, climbs to the next scale, further seeds.

Who may climb is decided by the ladder: the top of the scale below, spread over the campaign. Only when no
design comes up from below any more may everyone climb, and further seeds are given: until then open runs
are kept for better designs.
"""

from enum import IntEnum
from functools import cached_property

import numpy as np

from model_discovery.evolution.evidence import Counts, Flags, Indices
from model_discovery.evolution.fitness import best_mean
from model_discovery.evolution.ladder import baselines_at, open_runs, places_at_the_top
from model_discovery.evolution.selectors import Runs
from model_discovery.evolution.state import CampaignState

_MOST_SEEDS = 5  # of one design at one scale, when a campaign has runs left over
_NOBODY = np.empty(0, dtype=np.intp)


class Phase(IntEnum):
    """How far a scale is.

    ``OPEN``: designs still come up from below. ``CLOSING``: none will. ``CLOSED``: nor will a run below
    open another run here.
    """

    OPEN = 0
    CLOSING = 1
    CLOSED = 2


class Openings:
    """What may be run in one state of a campaign; made anew for each decision."""

    def __init__(self, state: CampaignState) -> None:
        self.state = state

    @property
    def may_design(self) -> bool:
        """A design is worth asking for: the budget has it, and a first run will be left for it."""
        state = self.state
        unrun = len(state.waiting) + state.budgets.designs.reserved
        wanted = state.budgets.may_design() and bool(state.designers_left) and not state.patience_lost
        return wanted and state.budgets.runs[0].left > unrun

    @property
    def first_runs(self) -> list[int]:
        """Designs that were never run, the longest waiting first; none when the lowest scale is spent."""
        return list(self.state.waiting) if self.state.budgets.runs[0].left > 0 else []

    def candidates(self) -> Runs:
        """Every run that may be chosen."""
        rows = [self._candidates_at(scale) for scale in range(len(self.state.scales))]
        scales = np.repeat(np.arange(len(rows)), [len(designs) for designs in rows])
        return Runs(design=np.concatenate(rows), scale=scales)

    def opened(self, scale: int) -> int:
        """Runs that the ladder has opened at a scale so far, used ones included."""
        runs = self.state.budgets.runs
        if scale == 0:
            return runs[0].limit
        return open_runs(runs[scale - 1].used, self.state.config.ladder.ratio, runs[scale].limit)

    def open_now(self, scale: int) -> int:
        """Runs that may be started at a scale now; at the lowest, those that no design in sight will need."""
        state = self.state
        left = self.opened(scale) - state.budgets.runs[scale].started
        return left - len(state.waiting) - state.budgets.designs.reserved if scale == 0 else left

    def left(self, scale: int) -> int:
        """Runs not started yet at a scale, of those that budget and ladder can open by the end."""
        return self._reach(scale) - self.state.budgets.runs[scale].started

    def is_over(self, scale: int) -> bool:
        """Whether nothing is left for a scale but the seeds its best design lacks."""
        closed = self.phases[scale] is Phase.CLOSED and not self.state.pending[:, scale].any()
        return closed and not len(self._climbers(scale, Phase.CLOSED))

    @cached_property
    def phases(self) -> list[Phase]:
        """The phase of each scale."""
        phases = [Phase.CLOSED if self._no_design_comes else Phase.OPEN]
        for scale in range(len(self.state.scales) - 1):
            below = phases[scale]
            if below is Phase.OPEN or self._new_here(scale).any() or len(self._climbers(scale, below)):
                phases.append(Phase.OPEN)
            elif (
                below is Phase.CLOSED
                and not self.state.pending[:, scale].any()
                and not self._seeds(scale).any()
            ):
                phases.append(Phase.CLOSED)
            else:
                phases.append(Phase.CLOSING)
        return phases

    @property
    def _no_design_comes(self) -> bool:
        on_the_way = self.may_design or self.state.budgets.designs.reserved or self.state.pending_first_runs
        return not on_the_way and not self.first_runs

    def _candidates_at(self, scale: int) -> Indices:
        phase = self.phases[scale]
        fresh = np.array(self.first_runs, dtype=np.intp) if scale == 0 else self._climbers(scale, phase)
        if phase is not Phase.CLOSED:
            return fresh
        return np.concatenate([fresh, np.flatnonzero(self._seeds(scale))])

    def _new_here(self, scale: int) -> Flags:
        """Designs that are running at a scale without a loss there yet."""
        flags: Flags = (self.state.pending[:, scale] > 0) & (self.state.evidence.count[:, scale] == 0)
        return flags

    def _climbers(self, scale: int, phase: Phase) -> Indices:
        """Designs that may run at a scale for the first time."""
        state, needed = self.state, self.state.seeds_needed(scale)
        open_now = self.open_now(scale)
        left = open_now if phase is Phase.CLOSED else self.left(scale)
        if scale == 0 or open_now <= 0 or left < needed:
            return _NOBODY  # the last runs belong to the best there
        if phase is Phase.OPEN and not self._is_time_to_climb(scale):
            return _NOBODY
        below = state.evidence.count[:, scale - 1] > 0
        fresh: Flags = below & (state.started[:, scale] == 0) & ~state.failed[:, scale]
        if phase is Phase.OPEN or left < 2 * needed:
            fresh &= ~state.baseline  # a second baseline could become the one to beat, and need all its seeds
        if phase is Phase.OPEN or state.patience_lost:
            places = places_at_the_top(int(below.sum()), state.config.ladder.ratio)
            losses = state.evidence.mean[below, scale - 1]
            if places < len(losses):
                fresh &= state.evidence.mean[:, scale - 1] <= np.partition(losses, places - 1)[places - 1]
        return np.flatnonzero(fresh)

    def _is_time_to_climb(self, scale: int) -> bool:
        """Climbs are spread evenly over the runs of the scale below, the last one at its end.

        Designs get better as a campaign goes on; where few can climb, the first comers would take all places.
        """
        state, needed, reach = self.state, self.state.seeds_needed(scale), self._reach(scale)
        climbs = reach - baselines_at(reach, needed) * needed - (needed - 1)
        climbed = int((state.started[:, scale] > 0)[~state.baseline].sum())
        return state.budgets.runs[scale - 1].used * climbs >= self._reach(scale - 1) * (climbed + 1)

    def _seeds(self, scale: int) -> Flags:
        """Designs that may have a further seed, with what the best there will need kept back."""
        state = self.state
        ran = (state.evidence.count[:, scale] > 0) & ~state.failed[:, scale]
        missing = np.where(state.baseline, 0, state.seeds_needed(scale) - state.started[:, scale])
        open_now = self.open_now(scale)
        if state.patience_lost or open_now <= self._kept_for_the_best(scale, missing):
            return np.zeros(len(state.designs), dtype=np.bool_)
        more: Flags = ran & (state.started[:, scale] < _MOST_SEEDS) & (missing <= open_now)
        return more

    def _kept_for_the_best(self, scale: int, missing: Counts) -> int:
        """Seeds the best design of the highest scale lacks, whichever of those running there it will be."""
        state = self.state
        if scale != state.highest_reached():
            return 0
        in_question = (state.pending[:, scale] > 0) & ~state.baseline
        usable = np.flatnonzero(~state.failed[:, scale] & ~state.baseline)
        if (best := best_mean(state.evidence, scale, usable)) is not None:
            in_question[best] = True
        return int(missing[in_question].max(initial=0))

    def _reach(self, scale: int) -> int:
        """Runs that budget and ladder can open at a scale by the end."""
        runs = self.state.budgets.runs
        limit = runs[0].limit
        for account in runs[1 : scale + 1]:
            limit = open_runs(limit, self.state.config.ladder.ratio, account.limit)
        return limit
