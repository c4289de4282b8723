"""One ranking out of several."""

from collections.abc import Sequence


def fuse(rankings: Sequence[Sequence[int]], constant: float = 3.0) -> list[tuple[int, float]]:
    """Reciprocal-rank fusion (Cormack et al., 2009): every ranking gives ``1 / (constant + rank)``.

    Returns ids with their sums, best first; equal ones by id.
    """
    scores: dict[int, float] = {}
    for ranking in rankings:
        for rank, one in enumerate(ranking, 1):
            scores[one] = scores.get(one, 0.0) + 1 / (constant + rank)
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))
