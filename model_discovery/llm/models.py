"""What is known of a model before it is asked: its provider, price, context and output, and what it lacks."""

import re
from collections.abc import Mapping
from typing import Any

from model_discovery.config.agents import Price, SpendingLimits
from model_discovery.errors import UserError
from model_discovery.llm.keys import Keys
from model_discovery.llm.loading import load_litellm
from model_discovery.llm.types import ModelSettings, ModelUnavailable

# Of a model's prices, those that a plain request may be billed at, long contexts and cache writes included.
_INPUT_PRICE = re.compile(r"(input_cost_per_token|cache_creation_input_token_cost)(_above_\d+k_tokens)?$")
_OUTPUT_PRICE = re.compile(r"output_cost_per_(reasoning_)?token(_above_\d+k_tokens)?$")


def provider_of(model: str, api_base: str | None = None) -> str:
    """The provider in litellm's words; ModelUnavailable for a name that names none."""
    litellm = load_litellm()
    try:
        return str(litellm.get_llm_provider(model, api_base=api_base)[1])
    except litellm.exceptions.BadRequestError:
        raise ModelUnavailable(
            f"'{model}' names no provider that litellm knows.",
            hint="write provider/name, such as openai/gpt-5 or anthropic/claude-sonnet-5-5; openai/NAME with "
            "an api_base for a server of your own",
        ) from None


def price_of(model: str, given: Price | None = None, api_base: str | None = None) -> Price | None:
    """The most a plain request to a model costs, in dollars per million tokens; None where it is not known.

    litellm's table decides; then ``given``. With an ``api_base`` only ``given`` does, and a price of 0 in the
    table is not a price.
    """
    known = _known_price(model) if api_base is None else None
    return known or given


def _known_price(model: str) -> Price | None:
    entry = _entry(model)
    sides = []
    for pattern in (_INPUT_PRICE, _OUTPUT_PRICE):
        prices = [float(value) for key, value in entry.items() if pattern.match(key) and value]
        sides.append(max(prices, default=0.0) * 1e6)
    return Price(input=sides[0], output=sides[1]) if all(sides) else None


def _entry(model: str) -> Mapping[str, Any]:
    """What litellm's table has on a model; it is looked up as litellm does, without asking any server."""
    table = load_litellm().model_cost
    provider, _, name = model.partition("/")
    for key in (model, name):
        if key in table and (key == model or table[key].get("litellm_provider", "").startswith(provider)):
            return dict(table[key])
    return {}


def context_of(model: str) -> int | None:
    """Tokens that a model reads at most, where litellm's table says so."""
    limit = _entry(model).get("max_input_tokens")
    return int(limit) if limit else None


def native_schema(settings: ModelSettings) -> bool:
    """Whether answers can be bound to a JSON schema: as the settings say, else what litellm knows."""
    if settings.schema_mode is not None:
        return settings.schema_mode == "native"
    litellm = load_litellm()
    try:
        return settings.api_base is None and bool(litellm.supports_response_schema(settings.model))
    except litellm.exceptions.BadRequestError:
        return False


def missing(settings: ModelSettings, env: Mapping[str, str] | Keys | None = None) -> str:
    """What has to be set before a model can be asked, in words; ``""`` when nothing is missing.

    Parameters
    ----------
    env
        Variables by name; those of the process and ``.env`` unless told.
    """
    keys = env if isinstance(env, Keys) else Keys(env)
    try:
        provider = provider_of(settings.model, settings.api_base)
    except ModelUnavailable as error:
        return str(error)
    names = keys.missing(settings.model, provider, settings.api_base)
    if not names:
        return ""
    several = " or ".join(names) if provider == "gemini" else ", ".join(names)
    verb = "is" if len(names) == 1 or provider == "gemini" else "are"
    return f"{several} {verb} not set, which {settings.model} needs (environment or .env)"


def require_price(settings: ModelSettings, price: Price | None, limits: Mapping[str, SpendingLimits]) -> None:
    """UserError where nothing would bound what a model costs: no price is known and no number of tokens.

    Parameters
    ----------
    limits
        By scope; a limit of one call bounds nothing, a limit in dollars needs a price.
    """
    if price is not None:
        return
    bounded = [limit for scope, limit in limits.items() if scope != "call"]
    if any(limit.tokens for limit in bounded) and not any(limit.dollars for limit in limits.values()):
        return
    why = "there is a limit in dollars" if any(limit.dollars for limit in limits.values()) else "no limit"
    raise UserError(
        f"No price is known for {settings.model}, and {why} of tokens for a session or campaign is set."
        if why == "no limit"
        else f"No price is known for {settings.model}, and {why}, which cannot be kept.",
        hint="give the price in dollars per million tokens, --set 'agents.price={input: 1.0, output: 4.0}' "
        "(0 for a server of your own), or limit the campaign's tokens, --max-llm-tokens 5000000",
    )
