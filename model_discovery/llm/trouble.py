"""What a failed request means to the reader, and what to do about it."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from model_discovery.llm.models import provider_of
from model_discovery.llm.provider import CallFailed
from model_discovery.llm.types import ModelSettings, ModelUnavailable


def explain(failure: CallFailed, settings: ModelSettings) -> ModelUnavailable:
    """One clear line of a failure that did not pass."""
    model, said = settings.model, str(failure).rstrip(".")
    where = _shown(settings.api_base) if settings.api_base else model
    provider = provider_of(model, settings.api_base)
    key = f"{provider.upper()}_API_KEY"
    lacks_v1 = "/v1" not in (settings.api_base or "/v1") and not provider.startswith("ollama")
    address = (
        "is the base URL missing /v1?" if lacks_v1 else f"is it the address of a server for {provider}/…?"
    )
    silent = "is the server running, and its address (--api-base) right?"
    if settings.api_base is None and not provider.startswith("ollama"):
        silent = "is there a network? HTTPS_PROXY names a proxy where one is needed"
    if failure.kind == "model" and lacks_v1 and "model" not in said.lower():
        return ModelUnavailable(f"{where} has no chat completions: {said}.", hint=address)
    message, hint = {
        "page": (f"{where} answers {said}", address),
        "garbled": (f"{where} answers no completion: {said}", address),
        "key": (f"{where} refuses the key: {said}", f"set {key} in the environment or .env to a valid key"),
        "quota": (f"{where} wants to be paid: {said}", "see the account at the provider"),
        "model": (f"{where} has no model '{_name(model)}': {said}", _models_hint(settings, provider)),
        "connect": (f"{where} cannot be reached: {said}", silent),
        "timeout": (f"{where} gave no answer within {settings.timeout:g} s: {said}", "is it overloaded?"),
        "cut": (f"{where} breaks its answers off: {said}", "is a proxy between that ends long requests?"),
        "rate": (f"{where} refuses further requests{_asked(failure)}: {said}", "wait, then resume; or limit "
                 "requests_per_minute in the agent specs, or give fallbacks there"),
        "server": (f"{where} fails (status {failure.status}): {said}", "wait, then resume"),
        "request": (f"{where} refuses the request: {said}", "check the settings in the agent spec"),
    }[failure.kind]  # fmt: skip
    return ModelUnavailable(f"{message}.", hint=hint)


def unavailable(errors: Sequence[ModelUnavailable]) -> ModelUnavailable:
    """One error of a model and its fallbacks; what to do is said of the first."""
    first, *others = errors
    if not others:
        return first
    also = " ".join(error.message for error in others)
    return ModelUnavailable(f"{first.message} Nor its fallbacks: {also}", hint=first.hint)


def _shown(address: str) -> str:
    """An address without what may be a password."""
    parts = urlsplit(address)
    host = parts.netloc.rsplit("@", 1)[-1]
    return f"{parts.scheme}://{host}{parts.path}" if host else address


def _name(model: str) -> str:
    return model.partition("/")[2] or model


def _asked(failure: CallFailed) -> str:
    return f" and asks to wait {failure.retry_after:,.0f} s" if failure.retry_after else ""


def _models_hint(settings: ModelSettings, provider: str) -> str:
    if provider.startswith("ollama"):
        return f"ollama pull {_name(settings.model)}"
    if settings.api_base:
        return f"those it has are listed at {_shown(settings.api_base).rstrip('/')}/models"
    return "check the name, and that the account may use the model"
