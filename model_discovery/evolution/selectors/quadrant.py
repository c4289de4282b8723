"""`quadrant`: fitness against confidence, cut at the top quarter; exploit, explore, sometimes restart."""

from dataclasses import dataclass

import numpy as np

from model_discovery.evolution.evidence import Flags, Indices
from model_discovery.evolution.selectors.base import Choice, Runs, View, best_of


@dataclass(frozen=True)
class QuadrantSelector:
    """The rule of the reference system.

    Parents: a good design of which we are confident; with probability ``explore`` a poor one of which we
    are confident; with ``restart`` a human design. Verifications: designs never run first, then a good
    design of which we are unsure, with probability ``explore`` a poor one, at the lowest scale on offer.
    Where a quadrant is empty the neighbouring ones stand in.

    Parameters
    ----------
    cut
        Share of designs that count as good, and as confident.
    explore, restart
        Probabilities.
    """

    name: str = "quadrant"
    cut: float = 0.25
    explore: float = 0.2
    restart: float = 0.05

    def parents(self, view: View, pool: Indices, k: int, rng: np.random.Generator) -> Choice:
        draw = rng.random()
        ties = rng.random(len(pool))
        if not len(pool):
            return Choice((), (), "nobody to choose from")
        good, confident = self._quadrants(view, pool)
        if draw < self.restart and view.baseline[pool].any():
            preference, reason = 2.0 * view.baseline[pool], "restart from a human design"
        elif draw < self.restart + self.explore:
            preference, reason = 2.0 * ~good + confident, "explore: poor, confident"
        else:
            preference, reason = 2.0 * good + confident, "exploit: good, confident"
        return best_of(pool, preference + ties, k, reason)

    def run(self, view: View, runs: Runs, rng: np.random.Generator) -> Choice:
        draw = rng.random()
        ties = rng.random(len(runs))
        unseen = ~view.count[runs.design].any(axis=1)
        if unseen.any():
            rows = np.flatnonzero(unseen)
            return best_of(rows, ties[rows], 1, "never run")
        designs, back = np.unique(runs.design, return_inverse=True)
        good, confident = (flags[back] for flags in self._quadrants(view, designs))
        wanted, reason = (~good, "explore: poor") if draw < self.explore else (good, "exploit: good")
        preference = 4.0 * wanted + 2.0 * ~confident - runs.scale / view.count.shape[1]
        return best_of(range(len(runs)), preference + ties / view.count.shape[1], 1, f"{reason}, unsure")

    def _quadrants(self, view: View, designs: Indices) -> tuple[Flags, Flags]:
        mean, sd = view.posterior.mean[designs], view.posterior.sd[designs]
        good: Flags = mean >= np.quantile(mean, 1 - self.cut)
        confident: Flags = sd <= np.quantile(sd, self.cut)
        return good, confident
