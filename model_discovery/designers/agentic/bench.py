"""Counting what design sessions came to, with intervals: how well a model designs, and what it costs."""

import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from model_discovery.designers.requests import DesignOutcome, Spending
from model_discovery.seeds import derive

_RESAMPLES = 2000
_Z = 1.959964


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval; bounds are None where one session or none says nothing of the spread.

    ``high`` is infinite where the sessions do not exclude that nothing valid comes at any price.
    """

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Tally:
    """What the sessions of one flow came to.

    Attributes
    ----------
    sessions, valid
        How many ended of themselves, and with a valid design; ``cut`` were ended by a limit of the whole
        bench and are not counted.
    share
        Of valid designs (Wilson interval).
    attempts, calls, tokens, dollars
        A session, means (t intervals). ``dollars`` is None where no price is known.
    dollars_per_valid
        All dollars over all valid designs (bootstrap over sessions); None without a valid one or a price.
    total_dollars
        Spent, cut sessions included; ``unpriced`` says that a part of it has no known price.
    errors
        Findings that refused something, by name of the check; first the frequent ones.
    reasons
        Why sessions came to nothing, in words, with counts.
    """

    sessions: int
    valid: int
    cut: int
    share: Estimate | None
    attempts: Estimate | None
    calls: Estimate | None
    tokens: Estimate | None
    dollars: Estimate | None
    dollars_per_valid: Estimate | None
    total_dollars: float | None
    unpriced: bool
    errors: dict[str, int]
    reasons: dict[str, int]


def tally(outcomes: Sequence[DesignOutcome]) -> Tally:
    """Count sessions of one flow."""
    whole = [one for one in outcomes if not one.limit.startswith("campaign")]
    valid = sum(one.status == "valid" for one in whole)
    spent = [_dollars(one) for one in whole]
    prices = [dollars for dollars in spent if dollars is not None]
    known = prices if len(prices) == len(whole) else []
    errors = Counter(
        finding.check
        for one in whole
        for attempt in one.attempts
        for finding in attempt.findings
        if finding.severity == "error"
    )
    reasons = Counter(_reason(one) for one in whole if one.status != "valid")
    total = sum((one.spending for one in outcomes if one.spending), Spending())
    return Tally(
        sessions=len(whole),
        valid=valid,
        cut=len(outcomes) - len(whole),
        share=wilson(valid, len(whole)),
        attempts=mean([len(one.attempts) for one in whole]),
        calls=mean([one.spending.calls if one.spending else 0 for one in whole]),
        tokens=mean([_tokens(one) for one in whole]),
        dollars=mean(known),
        dollars_per_valid=ratio(known, [one.status == "valid" for one in whole]) if known else None,
        total_dollars=total.dollars,
        unpriced=total.unpriced_tokens > 0,
        errors=_counted(errors),
        reasons=_counted(reasons),
    )


def _dollars(outcome: DesignOutcome) -> float | None:
    """None where a part has no known price."""
    spent = outcome.spending or Spending()
    return None if spent.unpriced_tokens else spent.dollars or 0.0


def _tokens(outcome: DesignOutcome) -> int:
    return outcome.spending.tokens if outcome.spending else 0


def _reason(outcome: DesignOutcome) -> str:
    """Why a session came to nothing, without the particulars that differ from session to session."""
    if outcome.limit:
        return f"limit: {outcome.limit}"
    return "the proposal was not implemented" if outcome.proposal else "no proposal passed its review"


def _counted(counter: Counter[str]) -> dict[str, int]:
    return dict(sorted(counter.items(), key=lambda item: (-item[1], item[0])))


# -- intervals


def wilson(successes: int, trials: int) -> Estimate | None:
    """A share with its Wilson score interval; None without trials."""
    if not trials:
        return None
    share = successes / trials
    centre = share + _Z**2 / (2 * trials)
    spread = _Z * math.sqrt(share * (1 - share) / trials + _Z**2 / (4 * trials**2))
    scale = 1 + _Z**2 / trials
    return Estimate(share, max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale))


def mean(values: Sequence[float]) -> Estimate | None:
    """A mean of values that are never negative, with its t interval; None without values."""
    if not values:
        return None
    centre = sum(values) / len(values)
    if len(values) < 2:
        return Estimate(centre)
    from scipy.stats import t

    deviation = math.sqrt(sum((value - centre) ** 2 for value in values) / (len(values) - 1))
    half = float(t.ppf(0.975, len(values) - 1)) * deviation / math.sqrt(len(values))
    return Estimate(centre, max(0.0, centre - half), centre + half)


def ratio(spent: Sequence[float], good: Sequence[bool]) -> Estimate | None:
    """Sum of ``spent`` over the number of ``good``, with a bootstrap interval; None without a good one."""
    if not any(good):
        return None
    pairs = list(zip(spent, good, strict=True))
    value = sum(spent) / sum(good)
    if len(pairs) < 2:
        return Estimate(value)
    rng = random.Random(derive(0, "bootstrap", len(pairs)))
    drawn = sorted(_ratio(rng.choices(pairs, k=len(pairs))) for _ in range(_RESAMPLES))
    return Estimate(value, drawn[int(0.025 * _RESAMPLES)], drawn[int(0.975 * _RESAMPLES)])


def _ratio(pairs: Sequence[tuple[float, bool]]) -> float:
    good = sum(is_good for _, is_good in pairs)
    return sum(spent for spent, _ in pairs) / good if good else math.inf
