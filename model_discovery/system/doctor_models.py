"""Whether the configured language models answer: one tiny call to each."""

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from model_discovery.config import AgentsConfig, SpendingLimits
from model_discovery.errors import UserError
from model_discovery.system.doctor import Fact
from model_discovery.system.models import is_here

if TYPE_CHECKING:
    from model_discovery.llm.types import ModelSettings, Reply

# Enough for a model that thinks before it answers, and a bound for one without a price.
_MAX_OUTPUT, _MAX_TOKENS, _SECONDS = 2048, 20_000, 60.0


class Sum(BaseModel):
    """The answer to the question that every model is asked."""

    model_config = ConfigDict(extra="forbid")

    sum: int = Field(description="two and three together")


def examine_models(
    model: str | None = None, api_base: str | None = None, agent_spec: str | Path | None = None
) -> list[Fact]:
    """Ask each model that the agent specs name, or only ``model``: does it answer, for how much, how.

    Parameters
    ----------
    api_base
        Address of an OpenAI-compatible server.
    agent_spec
        Folder of agent specs to use in place of the shipped ones.

    Raises
    ------
    UserError
        A mistake in an agent spec. A model that cannot be asked is a fact.
    """
    from model_discovery.designers.agentic.specs import load_specs

    specs = load_specs(None if agent_spec is None else Path(agent_spec).expanduser())
    agents = AgentsConfig(model=model, api_base=api_base)
    asked: dict[tuple[str, str | None], ModelSettings] = {}
    for spec in specs.values():
        try:
            first = spec.settings(agents, random.Random(0))
        except UserError as error:
            return [Fact("language models", error.message, False, error.hint)]
        names = sorted(spec.model) if isinstance(spec.model, dict) and model is None else [first.model]
        for settings in _with_fallbacks(first, names):
            asked.setdefault((settings.model, settings.api_base), settings)
    return [_ask(settings) for settings in asked.values()]


def _with_fallbacks(first: "ModelSettings", names: list[str]) -> "Iterator[ModelSettings]":
    from model_discovery.llm.client import candidates

    for name in names:
        for settings in candidates(replace(first, model=name)):
            yield replace(settings, fallbacks=())


def _ask(settings: "ModelSettings") -> Fact:
    from model_discovery.llm import LLM, BadReply, Journal, Ledger, Message, Patience

    llm = LLM(
        Ledger(None),
        Journal(None, "doctor"),
        scopes={"session": SpendingLimits(tokens=_MAX_TOKENS)},
        patience=Patience(tries=2, connect_tries=1, retry_after=10.0),
    )
    question = [Message(role="user", content="What is the sum of two and three?")]
    short = min(settings.max_output_tokens, _MAX_OUTPUT)
    why = ""
    for mode in (settings.schema_mode,) if settings.schema_mode else ("native", "fenced"):
        tiny = replace(settings, max_output_tokens=short, timeout=_SECONDS, schema_mode=mode)
        try:
            return _answered(settings, llm.chat("doctor", "ask", question, Sum, tiny))
        except UserError as error:
            return Fact(settings.model, error.message, False, error.hint)
        except BadReply as error:
            why = str(error)
    return Fact(settings.model, why, False, "try another model")


def _answered(settings: "ModelSettings", reply: "Reply[Sum]") -> Fact:
    from model_discovery.llm.models import native_schema

    price = "free of charge" if is_here(settings.model, settings.api_base) else "price unknown"
    tokens = f"{reply.usage.input + reply.usage.output:,} tokens"
    cost = f"${reply.dollars:.5f}" if reply.dollars else f"{tokens}, {price}"
    native = reply.schema_mode == "native" and reply.requests == 1
    if settings.schema_mode == "fenced":
        form = "a fenced block, as its spec says"
    else:
        form = "native" if native else "a fenced block, for it refuses schemas or does not keep to them"
    value = f"answers in {reply.seconds:.1f} s for {cost}; schema output: {form}"
    if native != native_schema(settings):
        better = "native" if native else "fenced"
        return Fact(
            settings.model, value, False, f"schema_mode: {better} in its agent spec, unless this is set"
        )
    return Fact(settings.model, value, True)
