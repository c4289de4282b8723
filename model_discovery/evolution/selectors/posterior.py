"""`posterior`: parents by Thompson sampling, verifications by what they are expected to improve per cost."""

from dataclasses import dataclass

import numpy as np

from model_discovery.evolution.evidence import Floats, Indices
from model_discovery.evolution.selectors.base import (
    Choice,
    Runs,
    View,
    best_of,
    normal_cdf,
    normal_density,
    top,
)

_SHORTLIST = 128  # candidates whose improvement is worked out; the others have a lower optimistic value


@dataclass(frozen=True)
class PosteriorSelector:
    """The default.

    Parents: one draw from each design's posterior, in units of the spread between designs, less
    ``use_weight`` times the logarithm of how often it was a parent, plus ``rarity_weight`` times how rare
    its family is. A design nobody is sure of, rarely used and unlike the others, gets its turn.

    Verifications: the run that raises the expected value of the final choice most per unit of cost
    (knowledge gradient, Frazier et al. 2008). With ``m`` the posterior mean, ``b`` the best mean among the
    other designs and ``s`` the standard deviation of the change in ``m`` that one more run will make, ``KG
    = s * (phi(z) - z * (1 - Phi(z)))`` with ``z = abs(m - b) / s``. Runs in flight count as made.

    Parameters
    ----------
    use_weight, rarity_weight
        In spreads; 0 leaves plain Thompson sampling.
    """

    name: str = "posterior"
    use_weight: float = 0.2
    rarity_weight: float = 0.2

    def parents(self, view: View, pool: Indices, k: int, rng: np.random.Generator) -> Choice:
        belief = view.posterior
        draws = belief.mean[pool] + belief.sd[pool] * rng.standard_normal(len(pool))
        scores = draws / np.sqrt(belief.variances.spread)
        scores -= self.use_weight * np.log1p(view.uses[pool])
        scores += self.rarity_weight * view.rarity[pool]
        return best_of(pool, scores, k, "highest posterior draw, tempered by use and rarity")

    def run(self, view: View, runs: Runs, rng: np.random.Generator) -> Choice:
        belief = view.posterior
        optimistic = belief.mean[runs.design] + 2 * belief.sd[runs.design]
        rows = np.array(top(optimistic, _SHORTLIST), dtype=np.intp)
        scores = improvements(view, Runs(runs.design[rows], runs.scale[rows]))
        reason = "highest expected improvement of the final choice per cost"
        return best_of(rows, scores, 1, reason)


def improvements(view: View, runs: Runs) -> Floats:
    """Expected improvement of the final choice, in nats per token per run at the lowest scale; ``(K,)``."""
    belief = view.posterior
    count = view.count[runs.design] + view.pending[runs.design]
    more = count.copy()
    more[np.arange(len(runs)), runs.scale] += 1
    learnt = np.sqrt(np.maximum(belief.sd_after(count) ** 2 - belief.sd_after(more) ** 2, 0.0))
    distance = np.abs(belief.mean[runs.design] - _best_other(belief.mean, runs.design))
    gradient = np.array([_gradient(float(s), float(d)) for s, d in zip(learnt, distance, strict=True)])
    value: Floats = gradient / view.cost[runs.scale]
    return value


def _gradient(learnt: float, distance: float) -> float:
    if learnt <= 0:
        return 0.0
    z = distance / learnt
    return max(0.0, learnt * (normal_density(z) - z * normal_cdf(-z)))


def _best_other(mean: Floats, designs: Indices) -> Floats:
    """The highest mean among all designs but each one; its own where it is alone."""
    if len(mean) < 2:
        return mean[designs]
    second, first = np.partition(mean, len(mean) - 2)[-2:]
    best = int(mean.argmax())
    others: Floats = np.where(designs == best, second, first)
    return others
