"""Which operator, and which designer, makes the next design: the mix as a quota, not as luck."""

from collections.abc import Mapping

from model_discovery.config import DesignConfig
from model_discovery.errors import UserError

PARENTS = {"mutation": 1, "crossover": 2, "scratch": 0}


def next_by_quota(shares: Mapping[str, float], counts: Mapping[str, int]) -> str:
    """The name furthest behind its share.

    After ``n`` choices every name was taken ``share * n`` times to within one or two, so ten designs
    already show the whole mix; a name enabled late catches up.

    Parameters
    ----------
    shares
        Weights; they need not add up to 1. At least one is positive.
    counts
        How often each was chosen so far.

    >>> chosen = {"a": 0, "b": 0}
    >>> for _ in range(5):
    ...     chosen[next_by_quota({"a": 0.8, "b": 0.2}, chosen)] += 1
    >>> chosen
    {'a': 4, 'b': 1}
    """
    total = sum(shares.values())
    taken = sum(counts.get(name, 0) for name in shares) + 1
    return max(shares, key=lambda name: (shares[name] / total * taken - counts.get(name, 0), shares[name]))


def enabled_operators(config: DesignConfig, *, designs: int, parents: int) -> dict[str, float]:
    """Shares of the operators that may be used now.

    Parameters
    ----------
    designs
        Implemented designs, human ones included.
    parents
        Designs that may be parents now; mutation needs one, crossover two.

    Returns
    -------
    dict
        Never empty: where the mix allows nothing, mutation, and without a parent scratch.
    """
    mix = config.operators
    shares = {
        "mutation": mix.mutation if parents >= 1 else 0.0,
        "crossover": mix.crossover if parents >= 2 and designs >= config.crossover_from else 0.0,
        "scratch": mix.scratch if designs >= config.scratch_from else 0.0,
    }
    open_now = {name: share for name, share in shares.items() if share > 0}
    return open_now or {"mutation" if parents >= 1 and mix.scratch == 0 else "scratch": 1.0}


def check_designers(shares: Mapping[str, float]) -> None:
    """Refuse a mix of designers with a name that nobody has, or that would never choose anyone.

    Raises
    ------
    UserError
        With the nearest name; or no designer has a positive share.
    """
    from model_discovery.designers import get_designer  # brings what designers need; only a new campaign asks

    for name in shares:
        get_designer(name)
    if not any(share > 0 for share in shares.values()):
        raise UserError("No designer has a share above 0.", hint="for example --set designers.genetic=1")
