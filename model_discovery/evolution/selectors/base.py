"""What a selector sees and what it answers; each is a pure function of this and a generator."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from model_discovery.evolution.evidence import Counts, Flags, Floats, Indices
from model_discovery.evolution.fitness import Posterior

RECORDED = 20  # candidates kept in a decision's record


@dataclass(frozen=True)
class View:
    """A campaign as selectors see it: arrays over designs, in the order they entered the tree.

    Attributes
    ----------
    posterior
        Belief about each design at the target scale.
    count, pending
        ``(N, S)``: runs that gave a loss, runs in flight.
    baseline
        ``(N,)``: human designs.
    uses
        ``(N,)``: how often a design was a parent, in-flight work included.
    rarity
        ``(N,)`` in ``(0, 1]``: 1 for a design whose structure shares its family with no other.
    cost
        ``(S,)``: price of a run at each scale in runs at the lowest, by the budget's own exchange rate.
    """

    posterior: Posterior
    count: Counts
    pending: Counts
    baseline: Flags
    uses: Counts
    rarity: Floats
    cost: Floats


@dataclass(frozen=True)
class Runs:
    """Candidates for the next verification: row ``i`` is ``design[i]`` at ``scale[i]``."""

    design: Indices
    scale: Indices

    def __len__(self) -> int:
        return len(self.design)


@dataclass(frozen=True)
class Choice:
    """What was chosen, why, and what else was looked at.

    Attributes
    ----------
    picked
        Designs (for parents) or one row of `Runs` (for a verification).
    ranked
        The best candidates with their scores, at most 20; the same kind of index as ``picked``.
    reason
        One phrase for people.
    """

    picked: tuple[int, ...]
    ranked: tuple[tuple[int, float], ...]
    reason: str


class Selector(Protocol):
    """Chooses parents and verifications; without state, all randomness from ``rng``."""

    @property
    def name(self) -> str:
        """The name it is registered under."""

    def parents(self, view: View, pool: Indices, k: int, rng: np.random.Generator) -> Choice:
        """Up to ``k`` different designs of ``pool``, fewer when it is smaller, none when it is empty."""

    def run(self, view: View, runs: Runs, rng: np.random.Generator) -> Choice:
        """One row of ``runs``, which is never empty."""


def top(scores: Floats, limit: int = RECORDED) -> list[int]:
    """Positions of the ``limit`` highest scores, highest first, ties by position; O(n)."""
    if len(scores) > limit:
        cut = np.partition(scores, len(scores) - limit)[len(scores) - limit]
        positions = np.flatnonzero(scores >= cut)
    else:
        positions = np.arange(len(scores))
    order = np.lexsort((positions, -scores[positions]))
    return [int(position) for position in positions[order][:limit]]


def best_of(candidates: Sequence[int] | Indices, scores: Floats, k: int, reason: str) -> Choice:
    """The ``k`` candidates with the highest scores, and a record of those behind them."""
    order = top(scores, max(k, RECORDED))
    ranked = tuple((int(candidates[i]), float(scores[i])) for i in order[:RECORDED])
    return Choice(tuple(int(candidates[i]) for i in order[:k]), ranked, reason)


def normal_cdf(x: float) -> float:
    """P(Z <= x) of the standard normal distribution."""
    return 0.5 * math.erfc(-x / math.sqrt(2))


def normal_density(x: float) -> float:
    """Density of the standard normal distribution."""
    return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)
