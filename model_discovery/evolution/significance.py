"""How many standard errors are needed before "better" may be said, when many were tried."""

import math

_NORMAL_FROM = 300  # degrees of freedom from which Student's t is the normal distribution


def students_cdf(t: float, dof: int) -> float:
    """P(T <= t) for Student's t with ``dof`` >= 1 degrees of freedom, by finite sums."""
    angle = math.atan(t / math.sqrt(dof))
    cosine2, total, term = math.cos(angle) ** 2, 0.0, 1.0
    odd = dof % 2
    for k in range(1, (dof - odd) // 2 + 1):
        total += term
        term *= cosine2 * (2 * k - 1 + odd) / (2 * k + odd)
    if odd:
        area = 2 / math.pi * (angle + math.sin(angle) * math.cos(angle) * total)
    else:
        area = math.sin(angle) * total
    return 0.5 * (1 + area)


def needed_gain(compared: int, dof: int, error_rate: float = 0.05) -> float:
    """Standard errors the best of ``compared`` designs must gain to be called better.

    The one-sided level is corrected for the number of designs that had the chance to be the best (Šidák),
    and the tail is Student's, since the seed noise was itself estimated from ``dof`` spare runs.

    >>> round(needed_gain(1, 10**4), 2), needed_gain(20, 6) > needed_gain(5, 6) > needed_gain(5, 60)
    (1.65, True)
    """
    dof = min(max(1, dof), _NORMAL_FROM)
    tail = 1 - (1 - error_rate) ** (1 / max(1, compared))
    low, high = 0.0, 1.0
    while 1 - students_cdf(high, dof) > tail:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if 1 - students_cdf(middle, dof) > tail else (low, middle)
    return high


def share_interval(successes: int, tries: int, z: float = 1.96) -> tuple[float, float]:
    """The interval of a share at ``z`` standard errors (95 %), after Wilson: sound for few tries too.

    >>> [round(bound, 2) for bound in share_interval(9, 10)], share_interval(0, 0)
    ([0.6, 0.98], (0.0, 1.0))
    """
    if not tries:
        return 0.0, 1.0
    share, weight = successes / tries, z * z / tries
    centre, width = share + weight / 2, z * math.sqrt(share * (1 - share) / tries + weight / (4 * tries))
    low, high = (centre - width) / (1 + weight), (centre + width) / (1 + weight)
    return max(0.0, low), min(1.0, high)
