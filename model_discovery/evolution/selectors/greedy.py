"""`greedy`: always the best known; what exploration has to pay for itself against."""

from dataclasses import dataclass

import numpy as np

from model_discovery.evolution.evidence import Indices
from model_discovery.evolution.selectors.base import Choice, Runs, View, best_of


@dataclass(frozen=True)
class GreedySelector:
    """Parents with the highest posterior mean; first runs first, then the best as high as it may go."""

    name: str = "greedy"

    def parents(self, view: View, pool: Indices, k: int, rng: np.random.Generator) -> Choice:
        return best_of(pool, view.posterior.mean[pool], k, "highest posterior mean")

    def run(self, view: View, runs: Runs, rng: np.random.Generator) -> Choice:
        unseen = ~view.count[runs.design].any(axis=1)
        if unseen.any():
            rows = np.flatnonzero(unseen)
            return best_of(rows, np.zeros(len(rows)), 1, "first run of the longest waiting design")
        best = view.posterior.mean[runs.design].max()
        level = np.where(view.posterior.mean[runs.design] == best, runs.scale, -1)
        scores = view.posterior.mean[runs.design] + 1e-12 * level
        return best_of(range(len(runs)), scores, 1, "highest posterior mean, as high as it may go")
