"""Which language models a campaign will ask, and whether it can: looked at before anything is trained."""

import random
import socket
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from model_discovery.config import AgentsConfig, CampaignConfig, Price, SpendingLimits
from model_discovery.config.agents import LLM_DESIGNERS
from model_discovery.errors import EXIT_FAILED, UserError

if TYPE_CHECKING:
    from model_discovery.designers.agentic.specs import AgentSpec
    from model_discovery.llm.types import ModelSettings

_REACH_SECONDS = 3.0
_HERE = ("localhost", "127.0.0.1", "::1")
_ON_THIS_MACHINE = ("ollama/", "ollama_chat/")  # asked on this machine where no address is given


def asks_models(config: CampaignConfig) -> bool:
    """Whether a designer of the campaign asks language models."""
    return any(config.designers.get(name, 0) > 0 for name in LLM_DESIGNERS) and config.budget.designs > 0


def chosen_designers(
    designer: str | None, designers: Mapping[str, float] | None, model: str | None
) -> dict[str, float] | None:
    """The mix that these arguments ask for; a model alone asks for the designer that uses one."""
    if designer is not None and designers is not None:
        raise UserError("--designer and --designers name the same thing.", hint="give one of them")
    if designer is not None:
        return {designer: 1.0}
    if designers is not None:
        return dict(designers)
    return {LLM_DESIGNERS[0]: 1.0} if model is not None else None


def agents_from(
    *,
    model: str | None,
    api_base: str | None,
    agent_spec: str | Path | None,
    flow: str | None,
    max_dollars: float | None,
    max_llm_tokens: int | None,
) -> dict[str, Any]:
    """The keys of ``agents`` that arguments set."""
    folder = None if agent_spec is None else str(Path(agent_spec).expanduser().absolute())
    given = {"model": model, "api_base": api_base, "agent_spec": folder, "flow": flow}
    limits = {"dollars": max_dollars, "tokens": max_llm_tokens}
    kept = {name: value for name, value in limits.items() if value is not None}
    values: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    return values | ({"per_campaign": kept} if kept else {})


def refuse_unused(config: CampaignConfig, agents: Mapping[str, Any]) -> None:
    """UserError for an option of LLM designers in a campaign that has none."""
    if agents and not asks_models(config):
        first = next(iter(agents)).replace("_", "-").replace("per-campaign", "max-dollars")
        raise UserError(
            f"--{first} is for designers with language models, and this campaign has none.",
            hint="add --designer agentic",
        )


def settle_models(config: CampaignConfig) -> CampaignConfig:
    """The configuration as it is stored, so that a resume does not depend on the keys of that day.

    The model that nothing names is the one whose key is there now; a server on this machine costs nothing.

    Raises
    ------
    UserError
        A mistake in an agent spec, no model or no key for one, or nothing that bounds what it costs.
    """
    if not asks_models(config):
        return config
    from model_discovery.config.environment import environment
    from model_discovery.designers.agentic.specs import default_model

    agents = config.agents
    update: dict[str, Any] = {}
    if agents.default_model is None and agents.replay is None:
        update["default_model"] = default_model(environment())
    if agents.price is None and agents.model is not None and is_here(agents.model, agents.api_base):
        update["price"] = Price(input=0, output=0)
    settled = config.with_agents(**update)
    check_models(settled)
    return settled


def move_server(config: CampaignConfig, api_base: str) -> CampaignConfig:
    """The configuration of a campaign that goes on, its models' server at another address.

    Raises
    ------
    UserError
        It asks no server of its user's: another model would be another campaign.
    """
    agents = config.agents
    if not asks_models(config) or agents.replay is not None:
        raise UserError(
            "--api-base says where a models' server has moved, and this campaign asks none.",
            hint="leave it out",
        )
    if agents.api_base is None and not (agents.model or "").startswith(_ON_THIS_MACHINE):
        raise UserError(
            "--api-base says where a models' server has moved, and this campaign was begun without one.",
            hint="leave it out; an address in an agent spec is changed there",
        )
    return config.with_agents(api_base=api_base)


def check_models(config: CampaignConfig) -> None:
    """Refuse a campaign whose models cannot be asked, or not at a known price; nothing is asked."""
    if not asks_models(config):
        return
    agents = config.agents
    specs = _specs(agents)
    if agents.replay is not None:
        return
    from model_discovery.llm.client import candidates
    from model_discovery.llm.keys import Keys
    from model_discovery.llm.models import missing, price_of, require_price

    keys = Keys()
    for address in (agents.api_base, *(spec.api_base for spec in _used(specs, agents))):
        _refuse_password(address)
    if agents.api_base is not None and not agents.api_base.startswith(("http://", "https://")):
        raise UserError(
            f"The address of the model's server, '{agents.api_base}', is no URL.",
            hint="for example --api-base http://127.0.0.1:8000/v1",
        )
    for spec in _used(specs, agents):
        if agents.model is None and spec.model is None and agents.default_model is None:
            raise UserError("No language model is configured.", hint=_what_to_set())
        limits = {
            "call": agents.per_call,
            "role": spec.limits,
            "session": agents.per_session,
            "campaign": agents.per_campaign,
        }
        for settings in _models_of(spec, agents):
            if lacking := missing(settings, keys):
                hint = "--model names another, --api-base a server of yours"
                raise UserError(f"The {spec.name} cannot ask its model: {lacking}.", hint=hint)
            for each in candidates(settings):  # what a fallback costs has to be known or bounded too
                require_price(each, price_of(each.model, agents.price, each.api_base), limits)


def reach_servers(config: CampaignConfig, *, begun: bool = False) -> None:
    """Refuse a campaign for which a server of its models is not there; nothing is asked of a model.

    Parameters
    ----------
    begun
        Whether it goes on: its configuration is kept then.

    Raises
    ------
    UserError
        Nobody listens at an address, or a web page is there.
    """
    if not asks_models(config) or config.agents.replay is not None:
        return
    specs = _specs(config.agents)
    settings = [each for spec in _used(specs, config.agents) for each in _models_of(spec, config.agents)]
    for address in dict.fromkeys(each.api_base for each in settings):
        if address is not None and (problem := _trouble(address)):
            raise UserError(
                f"The models' server {address} {problem}.",
                hint="start it, then resume again, with --api-base URL where it has moved; nothing is lost"
                if begun
                else "start it, or mend its address (--api-base); nothing was begun",
                exit_code=EXIT_FAILED,
            )


def _trouble(address: str) -> str:
    """Why a server cannot be one of models; ``""`` when it may be. One that is busy is given the benefit."""
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import getproxies, proxy_bypass, urlopen

    parts = urlsplit(address)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    if parts.scheme not in getproxies() or proxy_bypass(host):
        try:
            socket.create_connection((host, port), timeout=_REACH_SECONDS).close()
        except OSError as error:
            return f"cannot be reached ({error.strerror or error})"
    try:
        with urlopen(f"{address.rstrip('/')}/models", timeout=_REACH_SECONDS) as answer:
            if answer.headers.get_content_type() == "text/html":
                return "answers with a web page: its address often ends in /v1"
    except HTTPError:
        return ""  # it wants a key, or does not list its models
    except (OSError, HTTPException):
        return ""
    return ""


def _refuse_password(address: str | None) -> None:
    """An address is kept with the campaign, in its journals and its story: no place for a secret."""
    parts = urlsplit(address if address and "//" in address else f"//{address or ''}")
    if "@" in parts.netloc or parts.query:
        host = parts.netloc.rpartition("@")[2]
        what = "a user or a password" if "@" in parts.netloc else "a query, which may be a key,"
        raise UserError(
            f"The address of the models' server at {host} has {what} in it.",
            hint="set a key in the environment or .env, such as OPENAI_API_KEY: addresses are written down",
        )


def models_in_words(config: CampaignConfig) -> str:
    """Who is asked: ``anthropic/…``, or by role where roles differ."""
    agents = config.agents
    if agents.replay is not None:
        return f"none is asked; what they answered is in {agents.replay}"
    specs = _specs(agents)
    roles = {
        spec.name: " or ".join(settings.model for settings in _models_of(spec, agents))
        for spec in _used(specs, agents)
    }
    names = dict.fromkeys(roles.values())
    if len(names) == 1:
        return next(iter(names))
    return ", ".join(f"{role} {model}" for role, model in roles.items())


def asked_in_words(config: CampaignConfig) -> str:
    """Who is asked, where, and that it costs nothing where it does not."""
    agents = config.agents
    at = f" at {agents.api_base}" if agents.api_base and agents.replay is None else ""
    return f"{models_in_words(config)}{at}{', free of charge' if _is_free(agents) else ''}"


def _is_free(agents: AgentsConfig) -> bool:
    """Whether the price of those that are named is 0; litellm's table comes before a price that was given."""
    own = agents.api_base is not None or is_here(agents.model or "", None)
    return own and agents.price == Price(input=0, output=0)


def limits_in_words(limits: SpendingLimits) -> str:
    """``at most $5.00 and 120 calls``."""
    parts = [
        f"${limits.dollars:,.2f}" if limits.dollars else "",
        f"{limits.tokens:,} tokens" if limits.tokens else "",
        f"{limits.calls:,} calls" if limits.calls else "",
        f"{limits.minutes:g} minutes" if limits.minutes else "",
    ]
    known = [part for part in parts if part]
    return f"at most {', '.join(known)}" if known else "no limit"


def spending_in_words(agents: AgentsConfig) -> str:
    """What LLM designers may spend, at every level."""
    campaign = limits_in_words(agents.per_campaign)
    more = "" if campaign != "no limit" else " (set one with --max-dollars or --max-llm-tokens)"
    return (
        f"a call {limits_in_words(agents.per_call)}; a session {limits_in_words(agents.per_session)}; "
        f"the whole campaign {campaign}{more}"
    )


def without_models() -> str:
    """What to say of a campaign whose designer asks no model: how to have one that does."""
    from model_discovery.config.environment import environment
    from model_discovery.designers.agentic.specs import default_model

    model = default_model(environment())
    how = f"add --designer agentic (it would ask {model})" if model else _what_to_set()
    return f"no language model reads the instruction; for designs by one, {how}"


def _what_to_set() -> str:
    from model_discovery.designers.agentic.specs import DEFAULT_MODELS

    keys = " or ".join(DEFAULT_MODELS)
    return f"set {keys} and add --designer agentic, or name yours: --model openai/NAME --api-base URL"


def _specs(agents: AgentsConfig) -> "dict[str, AgentSpec]":
    from model_discovery.designers.agentic.specs import load_specs

    return load_specs(None if agents.agent_spec is None else Path(agents.agent_spec))


def _used(specs: "Mapping[str, AgentSpec]", agents: AgentsConfig) -> "list[AgentSpec]":
    """Specs of the roles that will be asked."""
    units = agents.flow == "units"
    unused = {"planner": not (agents.planner and units), "observer": not (agents.observer and units)}
    return [spec for name, spec in specs.items() if not unused.get(name, False)]


def _models_of(spec: "AgentSpec", agents: AgentsConfig) -> "Iterator[ModelSettings]":
    """Every model that a role may draw."""
    settings = spec.settings(agents, random.Random(0))
    if agents.model is None and isinstance(spec.model, dict):
        yield from (replace(settings, model=name) for name in sorted(spec.model))
    else:
        yield settings


def is_here(model: str, api_base: str | None) -> bool:
    """Whether a model runs on this machine."""
    if api_base is None:
        return model.startswith(_ON_THIS_MACHINE)
    return urlsplit(api_base if "//" in api_base else f"//{api_base}").hostname in _HERE
