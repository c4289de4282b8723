"""Do scales and seeds agree? Standings with their standard errors, and rank correlations."""

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

from model_discovery.verification.baselines import Noise, pooled_noise

_UNSTEADY = 3.0

ByDesign = Mapping[str, Mapping[int, float]]
"""A value (lower is better) by design and seed."""


@dataclass(frozen=True)
class Standing:
    """A design at one scale; ``stderr`` is ``None`` where no design ran twice.

    It comes from the noise of the scale, or from the design's own seeds where they are ``unsteady``: more
    than three times as far apart.
    """

    design: str
    value: float
    stderr: float | None
    seeds: int
    unsteady: bool = False


@dataclass(frozen=True)
class Agreement:
    """Spearman's rank correlation over ``n`` designs, with the interval that holds 95 % of such samples."""

    spearman: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.spearman:+.2f} ({self.low:+.2f} to {self.high:+.2f}, {self.n} designs)"


def standings(runs: ByDesign) -> tuple[list[Standing], Noise | None]:
    """Designs from the best to the worst, and the noise between seeds that their errors come from."""
    noise = pooled_noise(list(by_seed.values()) for by_seed in runs.values())
    found = [_standing(design, list(by_seed.values()), noise) for design, by_seed in runs.items() if by_seed]
    return sorted(found, key=lambda standing: (standing.value, standing.design)), noise


def _standing(design: str, values: list[float], noise: Noise | None) -> Standing:
    mean, seeds = statistics.fmean(values), len(values)
    if noise is None:
        return Standing(design, mean, None, seeds)
    own = statistics.stdev(values) if seeds > 1 else 0.0
    unsteady = own > _UNSTEADY * noise.deviation
    return Standing(design, mean, (own if unsteady else noise.deviation) / math.sqrt(seeds), seeds, unsteady)


def agreement(one: Mapping[str, float], other: Mapping[str, float]) -> Agreement | None:
    """How far two rankings agree over the designs that both have; ``None`` below four of them."""
    from scipy import stats

    both = sorted(one.keys() & other.keys())
    if len(both) < 4:
        return None
    first, second = [one[name] for name in both], [other[name] for name in both]
    if min(len(set(first)), len(set(second))) == 1:
        return None  # all ties have no order
    rho = float(stats.spearmanr(first, second).statistic)
    # Fisher's z with the variance of Bonett and Wright for ranks; an order without a flaw counts as one with
    # a single swap of neighbours, or its interval would have no width.
    nearly = 1 - 12 / (len(both) * (len(both) ** 2 - 1))
    spread = 1.96 * math.sqrt((1 + rho**2 / 2) / (len(both) - 3))
    middle = math.atanh(max(-nearly, min(nearly, rho)))
    return Agreement(rho, math.tanh(middle - spread), math.tanh(middle + spread), len(both))


def between_seeds(runs: ByDesign) -> float | None:
    """Mean rank correlation of one seed's ranking with another's: what the noise leaves of a ranking."""
    seeds = sorted({seed for by_seed in runs.values() for seed in by_seed})
    rankings = [
        {design: by_seed[seed] for design, by_seed in runs.items() if seed in by_seed} for seed in seeds
    ]
    found = [agreement(one, other) for one, other in combinations(rankings, 2)]
    values = [each.spearman for each in found if each is not None]
    return sum(values) / len(values) if values else None
