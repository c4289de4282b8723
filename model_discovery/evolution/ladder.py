"""Who may climb: how many runs a scale has opened, and how few a design may not fall out of."""

import math

_ROUNDING = 1e-9  # 10 * 0.3 is 3, whatever binary fractions say


def open_runs(finished_below: int, ratio: float, budget: int) -> int:
    """Runs open at a scale after ``finished_below`` runs at the scale under it.

    ``floor(finished_below * ratio)``, never more than the scale's budget. It counts every run that ended,
    also one that failed: it was paid for.

    >>> open_runs(7, 0.4, 6), open_runs(10, 0.3, 6), open_runs(100, 0.4, 6)
    (2, 3, 6)
    """
    return min(budget, math.floor(finished_below * ratio + _ROUNDING))


def places_at_the_top(verified_below: int, ratio: float) -> int:
    """How many of the designs verified at a scale count as its top, and so may climb: at least one.

    >>> places_at_the_top(2, 0.25), places_at_the_top(9, 0.4)
    (1, 3)
    """
    return max(1, math.floor(verified_below * ratio + _ROUNDING))


def baselines_at(budget: int, seeds: int) -> int:
    """How many human baselines a scale above the lowest is given, of ``budget`` runs with ``seeds`` seeds
    each.

    One always, since everything there is compared with it; more where a sixth of the runs pays for them, so
    that the bar is not one design's luck.

    >>> baselines_at(6, 2), baselines_at(24, 2), baselines_at(8, 3), baselines_at(64, 1)
    (1, 2, 1, 10)
    """
    return max(1, budget // (6 * seeds))
