"""`random`: the yardstick that every other selector has to beat."""

from dataclasses import dataclass

import numpy as np

from model_discovery.evolution.evidence import Indices
from model_discovery.evolution.selectors.base import Choice, Runs, View, best_of


@dataclass(frozen=True)
class RandomSelector:
    """Parents and verifications uniformly among what is allowed."""

    name: str = "random"

    def parents(self, view: View, pool: Indices, k: int, rng: np.random.Generator) -> Choice:
        return best_of(pool, rng.random(len(pool)), k, "drawn uniformly")

    def run(self, view: View, runs: Runs, rng: np.random.Generator) -> Choice:
        return best_of(
            range(len(runs)), rng.random(len(runs)), 1, "drawn uniformly among what the budget opens"
        )
