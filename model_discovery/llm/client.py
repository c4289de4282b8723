"""The one call to language models: stateless, its answer checked, its money reserved, kept in the journal."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from model_discovery.config.agents import Price, SpendingLimits
from model_discovery.llm.conversation import Conversation
from model_discovery.llm.journal import Journal
from model_discovery.llm.keys import Keys
from model_discovery.llm.ledger import Ledger
from model_discovery.llm.models import missing, provider_of, require_price
from model_discovery.llm.provider import CallFailed, parameters
from model_discovery.llm.retries import Patience
from model_discovery.llm.schema import json_schema
from model_discovery.llm.sending import Attempt, Purse, Sender
from model_discovery.llm.trouble import explain, unavailable
from model_discovery.llm.types import (
    BadReply,
    LimitReached,
    Message,
    ModelSettings,
    ModelUnavailable,
    Parsed,
    Reply,
    Usage,
)

Json = dict[str, Any]


class LLM:
    """Language models as a design session asks them.

    Parameters
    ----------
    ledger
        Where every request is reserved before it is sent, and settled after.
    journal
        Keeps every call, and answers those that it has; in a replay it answers all.
    per_call, scopes
        What a request may take, and the scopes ``session`` and ``campaign``.
    prices
        In dollars per million tokens: by model, or one for the models that litellm has no price for.
    env
        Variables with keys; those of the process and ``.env`` unless told.
    campaign
        Its name in the ledger.
    patience
        How long to wait for a model that does not answer now.
    sleep
        Waits some seconds.
    told
        Hears of each pause before it begins: seconds, and why.
    """

    def __init__(
        self,
        ledger: Ledger,
        journal: Journal,
        *,
        per_call: SpendingLimits | None = None,
        scopes: Mapping[str, SpendingLimits] | None = None,
        prices: Mapping[str, Price] | Price | None = None,
        env: Mapping[str, str] | None = None,
        campaign: str = "",
        patience: Patience | None = None,
        sleep: Callable[[float], None] = time.sleep,
        told: Callable[[float, str], None] = lambda seconds, why: None,
    ) -> None:
        self._journal = journal
        self._purse = Purse(
            ledger=ledger,
            session=journal.session,
            campaign=campaign,
            per_call=per_call or SpendingLimits(),
            scopes=scopes or {},
            prices=prices,
            keys=Keys(env),
            patience=patience or Patience(),
            sleep=sleep,
            told=told,
        )

    def chat(
        self,
        role: str,
        step: str,
        messages: Sequence[Message],
        schema: type[Parsed] | None,
        settings: ModelSettings,
    ) -> Reply[Parsed]:
        """Ask a model once, or take its answer from the journal.

        Parameters
        ----------
        role, step
            Whose call it is, for the ledger and the journal.
        messages
            At least one. Optional ones are dropped, oldest first, where they do not fit.
        schema
            Of the answer; a text is answered without.

        Raises
        ------
        BadReply
            The answer is of no use, also after a repair turn.
        LimitReached
            A request would break a limit.
        ModelUnavailable
            Neither the model nor its fallbacks can be asked. Not kept: the next run asks again.
        UserError
            The model has no price, and nothing limits its tokens.
        """
        key = _key(role, step, messages, schema, settings)

        def ask() -> Json:
            return {**key, **self._ask(role, step, messages, schema, settings)}

        return _reply(self._journal.once("llm_call", key, ask), schema)

    def _ask(
        self,
        role: str,
        step: str,
        messages: Sequence[Message],
        schema: type[Parsed] | None,
        settings: ModelSettings,
    ) -> Json:
        models = candidates(settings)
        for each in models:
            require_price(each, self._purse.price(each), self._purse.limits(each))
        sender = Sender(self._purse, role, step)
        errors: list[ModelUnavailable] = []
        for each in models:
            try:
                self._require_keys(each)
                conversation = Conversation(sender, each, messages, schema)
                return self._outcome(conversation)
            except CallFailed as failure:
                errors.append(explain(failure, each))
            except ModelUnavailable as error:
                errors.append(error)
        raise unavailable(errors)

    def _require_keys(self, settings: ModelSettings) -> None:
        provider_of(settings.model, settings.api_base)
        if lacks := missing(settings, self._purse.keys):
            raise ModelUnavailable(
                f"{lacks}.", hint="a server of your own needs no key: openai/NAME with its api_base"
            )

    def _outcome(self, conversation: Conversation[Any]) -> Json:
        """What the journal keeps of a call, whether its answer is of use or not."""
        outcome: Json = {"parsed": None}
        try:
            parsed = conversation.answer()
            outcome["parsed"] = None if parsed is None else parsed.model_dump(mode="json")
        except BadReply as error:
            outcome["error"] = {"type": "bad_reply", "kind": error.kind, "message": str(error)}
        except LimitReached as error:
            outcome["error"] = {
                "type": "limit", "message": error.message, "hint": error.hint, "scope": error.scope,
                "what": error.what, "limit": error.limit, "used": error.used,
            }  # fmt: skip
        return {**_record(conversation), **outcome}


def candidates(settings: ModelSettings) -> list[ModelSettings]:
    """The model and its fallbacks; a server of one's own is asked for models of its provider only."""
    found = [settings]
    for model in settings.fallbacks:
        same = model.partition("/")[0] == settings.model.partition("/")[0]
        mode = settings.schema_mode if same else None
        found.append(
            replace(settings, model=model, api_base=settings.api_base if same else None, schema_mode=mode)
        )
    return found


def _key(
    role: str,
    step: str,
    messages: Sequence[Message],
    schema: type[Parsed] | None,
    settings: ModelSettings,
) -> Json:
    """What is asked, in the words by which a journal names what changed."""
    return {
        "role": role,
        "step": step,
        "prompt": _digest([message.model_dump() for message in messages]),
        "asked": settings.model,
        "schema": "" if schema is None else schema.__name__,
        "schema_hash": "" if schema is None else _digest(json_schema(schema)),
        "parameters": parameters(settings, None),
    }


def _record(conversation: Conversation[Any]) -> Json:
    done, attempts = conversation.completion, conversation.sender.attempts
    paid = [attempt for attempt in attempts if attempt.usage is not None]
    usage = sum((attempt.usage for attempt in paid if attempt.usage), Usage())
    dollars = [attempt.dollars for attempt in paid if attempt.dollars is not None]
    unpriced = sum((attempt.usage for attempt in paid if attempt.usage and attempt.dollars is None), Usage())
    return {
        "model": conversation.settings.model,
        "schema_mode": conversation.mode,
        "messages": [message.model_dump(exclude={"optional"}) for message in conversation.sent],
        "text": done.text if done else "",
        "reasoning": done.reasoning if done else "",
        "usage": asdict(usage),
        "dollars": sum(dollars) if dollars else None,
        "unpriced_tokens": unpriced.input + unpriced.output,
        "seconds": round(sum(attempt.seconds for attempt in attempts), 3),
        "request_id": attempts[-1].request_id if attempts else "",
        "requests": len(paid),
        "attempts": [_attempt(attempt) for attempt in attempts],
    }


def _attempt(attempt: Attempt) -> Json:
    return {**asdict(attempt), "seconds": round(attempt.seconds, 3)}


def _reply(data: Json, schema: type[Parsed] | None) -> Reply[Parsed]:
    """The reply that a journal's data tell, or the error."""
    if (error := data.get("error")) is not None:
        kind = error["type"]
        facts = {name: value for name, value in error.items() if name != "type"}
        raise BadReply(**facts) if kind == "bad_reply" else LimitReached(**facts)
    return Reply(
        parsed=None if schema is None else schema.model_validate(data["parsed"]),
        text=data["text"],
        model=data["model"],
        usage=Usage(**data["usage"]),
        dollars=data["dollars"],
        seconds=data["seconds"],
        request_id=data["request_id"],
        schema_mode=data["schema_mode"],
        requests=data["requests"],
    )


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
