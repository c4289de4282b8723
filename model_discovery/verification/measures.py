"""Means over evaluation windows, with their standard errors; nothing here needs torch."""

import math
from collections.abc import Sequence


def mean_over_windows(losses: Sequence[float], counts: Sequence[int]) -> tuple[float, float | None]:
    """Mean over all tokens, and its standard error from the spread of the windows.

    Parameters
    ----------
    losses, counts
        Mean loss of each window, and how many tokens count in it. A single window has no standard error.
    """
    total, n = sum(counts), len(losses)
    mean = sum(loss * count for loss, count in zip(losses, counts, strict=True)) / total
    if n < 2:
        return mean, None
    squares = sum((count * (loss - mean)) ** 2 for loss, count in zip(losses, counts, strict=True))
    return mean, math.sqrt(squares * n / (n - 1)) / total
