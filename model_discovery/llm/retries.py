"""How long to wait for a model that does not answer now."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from model_discovery.llm.provider import CallFailed
from model_discovery.seeds import derive

if TYPE_CHECKING:
    from tenacity import RetryCallState, Retrying


@dataclass(frozen=True)
class Patience:
    """Bounds of the waiting for one request; times in seconds.

    Attributes
    ----------
    tries
        How often it is sent.
    connect_tries
        The same for a server that has not answered yet and refuses connections: its address may be wrong.
    billed_tries
        The same for what may have been billed: no answer in time, one that breaks off.
    first, longest
        The first pause, about; each further one is twice as long, up to the longest.
    retry_after
        The longest pause that a server may ask for; one that asks for more is unavailable.
    """

    tries: int = 9
    connect_tries: int = 3
    billed_tries: int = 3
    first: float = 1.0
    longest: float = 60.0
    retry_after: float = 300.0


class Pauses:
    """The pauses of one request: exponential, spread by a seed, at least as long as the server asks."""

    def __init__(self, patience: Patience, known: bool, *names: str) -> None:
        self._patience = patience
        self._known = known
        self._random = random.Random(derive(0, "pauses", *names))

    def __call__(self, state: "RetryCallState") -> float:
        """Seconds before the next try."""
        backoff = min(self._patience.longest, self._patience.first * 2 ** (state.attempt_number - 1))
        spread: float = backoff * (0.5 + self._random.random())
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after if isinstance(error, CallFailed) else None
        return spread if asked is None else asked + min(spread, 0.1 * asked)

    def over(self, state: "RetryCallState") -> bool:
        """Whether the tries are used up."""
        error, allowed = state.outcome.exception() if state.outcome else None, self._patience.tries
        if isinstance(error, CallFailed) and error.billed:
            allowed = min(allowed, self._patience.billed_tries)
        elif isinstance(error, CallFailed) and error.kind == "connect" and not self._known:
            allowed = min(allowed, self._patience.connect_tries)
        return state.attempt_number >= allowed

    def worth_it(self, error: BaseException) -> bool:
        """Whether to try again at all."""
        if not isinstance(error, CallFailed) or not error.may_pass:
            return False
        return error.retry_after is None or error.retry_after <= self._patience.retry_after


def retrying(
    patience: Patience,
    known: bool,
    sleep: Callable[[float], None],
    *names: str,
    told: Callable[[float, str], None] = lambda seconds, why: None,
) -> "Retrying":
    """tenacity's caller: ``retrying(…)(work, …)`` raises the last failure.

    Parameters
    ----------
    known
        Whether the model has answered before.
    names
        Of the request; the same ones give the same pauses.
    told
        Hears of each pause before it begins: seconds, and why.
    """
    from tenacity import Retrying, retry_if_exception

    pauses = Pauses(patience, known, *names)
    worth = retry_if_exception(pauses.worth_it)

    def before_sleep(state: "RetryCallState") -> None:
        told(state.upcoming_sleep, str(state.outcome.exception() if state.outcome else ""))

    return Retrying(
        stop=pauses.over, wait=pauses, retry=worth, sleep=sleep, before_sleep=before_sleep, reraise=True
    )
