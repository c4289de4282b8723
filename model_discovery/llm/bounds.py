"""What a request may take at most, and whether that keeps within the limits."""

import math
from dataclasses import dataclass

from model_discovery.config.agents import SpendingLimits
from model_discovery.llm.types import LimitReached, ModelUnavailable

_PENNY_DUST = 1e-9  # sums of floats are wrong by less, and no token is as cheap


@dataclass(frozen=True, slots=True)
class CallFacts:
    """Who asks which model, and where in the work."""

    role: str
    step: str
    session: str
    campaign: str
    model: str


@dataclass(frozen=True, slots=True)
class Bound:
    """The most a request can cost; ``dollars`` is None where no price is known."""

    input_tokens: int
    output_tokens: int
    dollars: float | None = None

    @property
    def tokens(self) -> int:
        """In and out."""
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class Used:
    """What counts against a limit: spent or reserved. ``open_`` is the part that is reserved only."""

    calls: int
    tokens: int
    dollars: float
    minutes: float
    open_tokens: int = 0
    open_dollars: float = 0.0


def check_bound(bound: Bound) -> None:
    """ValueError for one that is none."""
    dollars = bound.dollars or 0.0
    if min(bound.input_tokens, bound.output_tokens) < 0 or dollars < 0 or not math.isfinite(dollars):
        raise ValueError(f"no bound of a request: {bound}")


def hold(scope: str, limit: SpendingLimits, call: CallFacts, bound: Bound, used: Used) -> None:
    """Nothing when a request of this bound keeps within a limit; LimitReached or ModelUnavailable else."""
    if limit.calls is not None and used.calls + 1 > limit.calls:
        raise _reached(scope, "calls", limit.calls, used.calls, "")
    if limit.tokens is not None and used.tokens + bound.tokens > limit.tokens:
        may_pass = used.tokens - used.open_tokens + bound.tokens <= limit.tokens
        raise _reached(scope, "tokens", limit.tokens, used.tokens, f"{bound.tokens:,}", may_pass)
    if limit.dollars is not None:
        if bound.dollars is None:
            raise ModelUnavailable(
                f"No price is known for {call.model}, and the {scope} has a limit in dollars.",
                hint="give the price, --set 'agents.price={input: 1.0, output: 4.0}' (dollars per million "
                "tokens), or limit tokens instead",
            )
        if used.dollars + bound.dollars > limit.dollars + _PENNY_DUST:
            may_pass = used.dollars - used.open_dollars + bound.dollars <= limit.dollars
            raise _reached(scope, "dollars", limit.dollars, used.dollars, f"{bound.dollars:,.4f}", may_pass)
    if limit.minutes is not None and scope != "call" and used.minutes >= limit.minutes:
        raise _reached(scope, "minutes", limit.minutes, used.minutes, "")


def _reached(
    scope: str, what: str, limit: float, used: float, wanted: str, may_pass: bool = False
) -> LimitReached:
    def shown(number: float) -> str:
        return (
            f"{number:,.4f}"
            if what == "dollars"
            else f"{number:,.10g}"
            if what != "minutes"
            else f"{number:.1f}"
        )

    spent = "at work" if what == "minutes" else "spent or reserved"
    told = f", the next request may take {wanted}" if wanted else ""
    where = f"agents.per_{scope}.{what}" if scope != "role" else f"limits.{what} in the role's agent spec"
    return LimitReached(
        f"The {scope}'s limit of {shown(limit)} {what} is reached: {shown(used)} {spent}{told}.",
        scope=scope, what=what, limit=limit, used=used, may_pass=may_pass,
        hint=f"to allow more, raise {where}",
    )  # fmt: skip
