"""Requests with their money: paced, reserved, sent, settled, and sent again where that may help."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from model_discovery.config.agents import Price, SpendingLimits
from model_discovery.llm.bounds import Bound, CallFacts
from model_discovery.llm.keys import Keys
from model_discovery.llm.ledger import Ledger, Reservation
from model_discovery.llm.models import price_of
from model_discovery.llm.provider import CallFailed, Completion, complete
from model_discovery.llm.retries import Patience, retrying
from model_discovery.llm.types import LimitReached, Message, ModelSettings, Usage

Json = dict[str, Any]
# No tokenizer makes more tokens of a text than it has bytes. Around it: roles and separators of a message,
# what a provider puts before a conversation, and what it says to a model that it binds to a schema.
_A_MESSAGE, _AROUND, _AROUND_SCHEMA = 16, 64, 512
_LOOK_AGAIN = 1.0  # seconds


@dataclass(frozen=True)
class Attempt:
    """One request as a trace keeps it. ``usage`` is None where it was not billed."""

    model: str
    outcome: str
    usage: Usage | None
    dollars: float | None
    seconds: float
    request_id: str
    why: str = ""


@dataclass(frozen=True)
class Purse:
    """What a session sends with, and what it has learned of its models.

    Attributes
    ----------
    prices
        By model, or one for every model of unknown price.
    answered
        Models that have answered; their server is known to exist.
    given_up
        Models that did not answer in all tries of an earlier call: from then on they get one.
    unbound
        Models whose server refuses schemas.
    told
        Hears of each pause: seconds, and why.
    """

    ledger: Ledger
    session: str
    campaign: str
    per_call: SpendingLimits
    scopes: Mapping[str, SpendingLimits]
    prices: Mapping[str, Price] | Price | None
    keys: Keys
    patience: Patience
    sleep: Callable[[float], None]
    answered: set[str] = field(default_factory=set)
    given_up: set[str] = field(default_factory=set)
    unbound: set[str] = field(default_factory=set)
    told: Callable[[float, str], None] = lambda seconds, why: None

    def limits(self, settings: ModelSettings) -> dict[str, SpendingLimits]:
        """By scope, those of the call and of the role in the settings included."""
        role = {} if settings.limits is None else {"role": settings.limits}
        return {"call": self.per_call, **role, **self.scopes}

    def price(self, settings: ModelSettings) -> Price | None:
        """The most a model costs; what is given for it by name comes first."""
        given = self.prices
        if isinstance(given, Mapping):
            return given.get(settings.model) or price_of(settings.model, None, settings.api_base)
        return price_of(settings.model, given, settings.api_base)

    def has_own_price(self, settings: ModelSettings) -> bool:
        """Whether the price is one that was given, and not litellm's."""
        if isinstance(self.prices, Mapping) and settings.model in self.prices:
            return True
        return price_of(settings.model, None, settings.api_base) is None


@dataclass
class Sender:
    """Sends the requests of one call, one after the other. ``attempts`` grows."""

    purse: Purse
    role: str
    step: str
    attempts: list[Attempt] = field(default_factory=list)

    def send(
        self, settings: ModelSettings, messages: Sequence[Message], response_format: Json | None
    ) -> Completion:
        """One answer, after as many tries as it takes.

        Raises
        ------
        CallFailed
            That of the last try.
        LimitReached
            A try would break a limit.
        """
        purse, model = self.purse, settings.model
        patience = Patience(tries=1) if model in purse.given_up else purse.patience
        names = (purse.session, self.role, self.step, model, str(len(self.attempts)))
        try:
            call = retrying(patience, model in purse.answered, purse.sleep, *names, told=purse.told)
            completion: Completion = call(self._once, settings, messages, response_format)
        except CallFailed as failure:
            if failure.may_pass:
                purse.given_up.add(model)
            raise
        purse.answered.add(model)
        purse.given_up.discard(model)
        return completion

    def _once(
        self, settings: ModelSettings, messages: Sequence[Message], response_format: Json | None
    ) -> Completion:
        purse = self.purse
        price = purse.price(settings)
        bound = bound_of(messages, response_format, settings.max_output_tokens, price)
        self._keep_pace(settings, bound)
        facts = CallFacts(self.role, self.step, purse.session, purse.campaign, settings.model)
        reservation = self._reserve(facts, bound, settings)
        try:
            done = complete(settings, messages, response_format, purse.keys)
        except CallFailed as failure:
            self._settle(reservation, _failed(settings.model, failure, bound))
            raise
        self._settle(reservation, self._answered(settings, done, bound, price))
        return done

    def _reserve(self, facts: CallFacts, bound: Bound, settings: ModelSettings) -> Reservation:
        """Room for a request, once those that hold it are back; they take no longer than one answer."""
        purse, waited = self.purse, 0.0
        while True:
            try:
                return purse.ledger.reserve(facts, bound, purse.limits(settings))
            except LimitReached as limit:
                if not limit.may_pass or waited >= settings.timeout:
                    raise
            if not waited:
                purse.told(_LOOK_AGAIN, "other requests hold what is left of a limit")
            purse.sleep(_LOOK_AGAIN)
            waited += _LOOK_AGAIN

    def _settle(self, reservation: Reservation, attempt: Attempt) -> None:
        self.attempts.append(attempt)
        self.purse.ledger.settle(
            reservation, usage=attempt.usage or Usage(), dollars=attempt.dollars, seconds=attempt.seconds,
            outcome=attempt.outcome, request_id=attempt.request_id,
        )  # fmt: skip

    def _answered(
        self, settings: ModelSettings, done: Completion, bound: Bound, price: Price | None
    ) -> Attempt:
        usage = done.usage or Usage(bound.input_tokens, bound.output_tokens)
        dollars = done.dollars if done.usage else bound.dollars
        if price is None:
            dollars = None
        elif dollars is None or self.purse.has_own_price(settings):
            dollars = (usage.input * price.input + usage.output * price.output) / 1e6
        outcome = done.problem or "ok"
        return Attempt(settings.model, outcome, usage, dollars, done.seconds, done.request_id)

    def _keep_pace(self, settings: ModelSettings, bound: Bound) -> None:
        likely = bound.input_tokens // 3 + bound.output_tokens  # text has three to four bytes a token
        limits = (settings.requests_per_minute, settings.tokens_per_minute)
        while (wait := self.purse.ledger.pace(settings.model, likely, *limits)) > 0:
            self.purse.told(wait, "the limit of requests or tokens a minute in the agent spec")
            self.purse.sleep(wait)


def bound_of(
    messages: Sequence[Message], response_format: Json | None, max_output: int, price: Price | None
) -> Bound:
    """The most that a request can take, whatever tokenizer the model has."""
    text = sum(len(message.content.encode("utf-8", "replace")) + _A_MESSAGE for message in messages)
    form = len(json.dumps(response_format).encode()) + _AROUND_SCHEMA if response_format else 0
    given = text + form + _AROUND
    dollars = None if price is None else (given * price.input + max_output * price.output) / 1e6
    return Bound(given, max_output, dollars)


def _failed(model: str, failure: CallFailed, bound: Bound) -> Attempt:
    """What a failure may have cost counts in full: nobody can tell."""
    usage = Usage(bound.input_tokens, bound.output_tokens) if failure.billed else None
    dollars = bound.dollars if failure.billed else (None if bound.dollars is None else 0.0)
    return Attempt(model, failure.kind, usage, dollars, failure.seconds, failure.request_id, why=str(failure))
