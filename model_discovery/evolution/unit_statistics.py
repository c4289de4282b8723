"""What each unit did to the loss, from all designs measured at one scale: a random-effects model.

    loss(d) = level + sum of effect(u) over the units u of d + rest(d) + noise(d)

Effects and rests are normal around 0, the level has a flat prior, the noise is that of the seeds. How much of
the spread of the losses is the units' is averaged over a small grid by restricted likelihood. So units that
always come together share what they did, with an error that says so, and one design's luck is not taken for
its unit's merit: estimates are drawn towards 0 as far as the designs behind them are few.
"""

from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import product

import numpy as np

from model_discovery.evolution.evidence import Floats

Unit = tuple[str, str]  # its id, role of the slot it stands in

LEAST_DESIGNS = 2
_SHARES = (0.05, 0.2, 0.4, 0.6, 0.8, 0.95)  # of the spread that is the units'
_SPREADS = (0.25, 0.5, 1.0, 2.0)  # times the variance between the losses
_LEAST_SPREAD = 0.002**2  # nats per token: below, designs cannot be told apart anyway


@dataclass(frozen=True)
class Effect:
    """Difference of loss to designs without the unit, in nats per token; negative is better."""

    unit: Unit
    value: float
    stderr: float
    designs: int


def unit_effects(
    losses: Sequence[float], noise: Sequence[float], units: Sequence[AbstractSet[Unit]]
) -> list[Effect]:
    """Effects of all units that at least two designs have and at least one lacks, in the order of names.

    Parameters
    ----------
    losses, noise
        Mean loss of each design and the variance of that mean by the luck of seeds.
    units
        What each design is made of.
    """
    counts = Counter(unit for made_of in units for unit in made_of)
    known = sorted(unit for unit, count in counts.items() if LEAST_DESIGNS <= count < len(units))
    if not known:
        return []
    present = np.array([[unit in made_of for unit in known] for made_of in units], dtype=np.float64)
    found = [
        _posterior(np.array(losses), np.array(noise), present, *pair)
        for pair in _grid(losses, noise, present)
    ]
    likelihoods = np.array([each.likelihood for each in found])
    weights = np.exp(likelihoods - likelihoods.max())
    weights /= weights.sum()
    values = np.array([each.values for each in found])
    mean = weights @ values
    variance = weights @ (np.array([each.variances for each in found]) + (values - mean) ** 2)
    return [
        Effect(unit, float(value), float(error), counts[unit])
        for unit, value, error in zip(known, mean, np.sqrt(variance), strict=True)
    ]


@dataclass(frozen=True)
class _Posterior:
    """Effects under one pair of variances, and the restricted log-likelihood of that pair."""

    values: Floats
    variances: Floats
    likelihood: float


def _grid(losses: Sequence[float], noise: Sequence[float], present: Floats) -> list[tuple[float, float]]:
    """Pairs of variances: of the effects, and of the rests."""
    spread = max(float(np.var(losses, ddof=1)) - float(np.mean(noise)), _LEAST_SPREAD)
    share_present = present.mean(axis=0)
    a_unit = float((share_present * (1 - share_present)).sum())  # what effects of variance 1 spread losses by
    return [
        (share * scale * spread / a_unit, (1 - share) * scale * spread)
        for share, scale in product(_SHARES, _SPREADS)
    ]


def _posterior(loss: Floats, luck: Floats, present: Floats, own: float, rest: float) -> _Posterior:
    covariance = own * present @ present.T + np.diag(rest + luck)
    projection, logarithms = _projection(covariance)
    seen = projection @ loss
    variances = own - own**2 * np.einsum("du,de,eu->u", present, projection, present, optimize=True)
    return _Posterior(
        values=own * present.T @ seen,
        variances=np.maximum(variances, 0.0),
        likelihood=-0.5 * (logarithms + float(loss @ seen)),
    )


def _projection(covariance: Floats) -> tuple[Floats, float]:
    """The inverse covariance with the level projected out, and the logarithms of its determinants."""
    inverse = np.linalg.inv(covariance)
    row = inverse.sum(axis=0)
    total = float(row.sum())
    projection: Floats = inverse - np.outer(row, row) / total
    return projection, float(np.linalg.slogdet(covariance)[1]) + float(np.log(total))
