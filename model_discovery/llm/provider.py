"""One request through litellm: what it answered, or what failed and whether it may have been billed."""

import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from model_discovery.llm.keys import Keys
from model_discovery.llm.loading import load_litellm
from model_discovery.llm.models import provider_of
from model_discovery.llm.types import BadKind, Message, ModelSettings, Usage

Json = dict[str, Any]
Kind = Literal[
    "connect", "timeout", "cut", "rate", "server", "garbled",  # may pass
    "key", "quota", "model", "page", "request",                # stay until someone mends them
    "overflow", "refusal", "endless",                          # of this request
]  # fmt: skip
MAY_PASS = ("connect", "timeout", "cut", "rate", "server", "garbled")
_MAYBE_BILLED = ("timeout", "cut", "garbled", "endless")
_BY_STATUS: dict[int, Kind] = {
    401: "key", 402: "quota", 403: "key", 404: "model", 405: "page", 408: "timeout", 409: "server",
    413: "overflow", 429: "rate",
}  # fmt: skip
# A token is some bytes of text and, written as JSON, of escapes; an answer of many times that does not end.
_BYTES_A_TOKEN, _BYTES_AROUND = 64, 200_000
_MOST_TOKENS = 10**9  # no server counts more in earnest
# What litellm raises where no request was sent at all.
_KEYLESS = re.compile(r"api.?key|credential|authenticat", re.IGNORECASE)


@dataclass(frozen=True)
class Completion:
    """An answer. ``usage`` is None where the server counted nothing, ``dollars`` without a known price."""

    text: str
    refusal: str
    finish: str
    usage: Usage | None
    dollars: float | None
    seconds: float
    request_id: str
    reasoning: str = ""

    @property
    def problem(self) -> BadKind | None:
        """Why it is of no use whatever was asked; ``endless``: cut off at its limit of tokens."""
        if self.refusal or self.finish in ("content_filter", "refusal"):
            return "refusal"
        if self.finish in ("length", "max_tokens"):
            return "endless"
        return None if self.text.strip() else "empty"


class CallFailed(Exception):
    """A request without a usable answer; the message holds no key.

    Attributes
    ----------
    kind
        What went wrong.
    retry_after
        Seconds that the server asks to wait.
    billed
        Whether the provider may have counted it all the same.
    """

    def __init__(
        self, kind: Kind, message: str, *, retry_after: float | None = None, status: int | None = None,
        seconds: float = 0.0, request_id: str = "",
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.kind = kind
        self.retry_after = retry_after
        self.status = status
        self.seconds = seconds
        self.request_id = request_id

    @property
    def billed(self) -> bool:
        return self.kind in _MAYBE_BILLED

    @property
    def may_pass(self) -> bool:
        return self.kind in MAY_PASS


def parameters(settings: ModelSettings, response_format: Json | None) -> Json:
    """What a request says besides messages and model; what a model does not take is dropped on the way."""
    given = {
        "temperature": settings.temperature,
        "max_tokens": settings.max_output_tokens,
        "reasoning_effort": settings.reasoning_effort,
        "response_format": response_format,
    }
    return {name: value for name, value in given.items() if value is not None}


def complete(
    settings: ModelSettings, messages: Sequence[Message], response_format: Json | None, keys: Keys
) -> Completion:
    """Send one request and read its answer.

    Raises
    ------
    CallFailed
        With everything that is to be known of it, whichever provider it was.
    """
    from model_discovery.llm.wire import CURRENT, Exchange

    litellm = load_litellm()
    arguments = keys.arguments(
        settings.model, provider_of(settings.model, settings.api_base), settings.api_base
    )
    started = time.monotonic()
    exchange = Exchange(_max_bytes(settings), settings.timeout)
    token = CURRENT.set(exchange)
    try:
        response = litellm.completion(
            model=settings.model,
            messages=[{"role": message.role, "content": message.content} for message in messages],
            **parameters(settings, response_format),
            **arguments,
            timeout=settings.timeout,
            max_retries=0,
            num_retries=0,
            drop_params=True,
        )
    except (*litellm.exceptions.LITELLM_EXCEPTION_TYPES, litellm.exceptions.OpenAIError) as error:
        raise _failed(error, exchange, settings, keys, time.monotonic() - started) from None
    finally:
        CURRENT.reset(token)
    return _read(response, exchange, settings, keys, time.monotonic() - started)


def _max_bytes(settings: ModelSettings) -> int:
    return _BYTES_AROUND + _BYTES_A_TOKEN * settings.max_output_tokens


def _read(response: Any, exchange: Any, settings: ModelSettings, keys: Keys, seconds: float) -> Completion:
    choice = response.choices[0] if response.choices else None
    message = choice.message if choice else None

    def said(value: Any) -> str:
        return keys.scrub(str(value or "").encode("utf-8", "replace").decode())

    text = said(message.content if message else "")
    fields = (message.get("provider_specific_fields") if message else None) or {}
    if len(text.encode()) > _max_bytes(settings):
        raise CallFailed("endless", f"the answer has {len(text):,} characters", seconds=seconds)
    return Completion(
        text=text,
        refusal=said(fields.get("refusal")),
        finish=str((choice.finish_reason if choice else "") or ""),
        usage=_usage(getattr(response, "usage", None)),
        dollars=response._hidden_params.get("response_cost"),
        seconds=seconds,
        request_id=str(exchange.request_id or response.id or ""),
        reasoning=said(message.get("reasoning_content") if message else ""),
    )


def _usage(counted: Any) -> Usage | None:
    if not counted or not (counted.prompt_tokens or counted.completion_tokens):
        return None
    details = getattr(counted, "prompt_tokens_details", None)
    cached = getattr(details, "cached_tokens", None)
    numbers = (counted.prompt_tokens, counted.completion_tokens, cached)
    return Usage(*(min(max(int(number or 0), 0), _MOST_TOKENS) for number in numbers))


def _failed(
    error: Exception, exchange: Any, settings: ModelSettings, keys: Keys, seconds: float
) -> CallFailed:
    """Tell failures apart by what passed over the wire; by litellm's word where nothing passed it."""
    told = _error_message(bytes(exchange.head))
    said = told or _tidy(str(error))
    kind = _kind(error, exchange, told, said)
    if kind == "page" or _is_page(exchange):
        status = f" (status {exchange.status})" if exchange.status != 200 and kind == "page" else ""
        said = told or f"{_named(exchange)}{status}, not JSON"
    elif kind == "garbled":
        said = "JSON that breaks off or has another form"
    elif kind in ("connect", "timeout", "cut", "endless"):
        said = exchange.why or said
    return CallFailed(
        kind, keys.scrub(said)[:600], retry_after=exchange.retry_after, status=exchange.status,
        seconds=seconds, request_id=exchange.request_id,
    )  # fmt: skip


def _kind(error: Exception, exchange: Any, told: str, said: str) -> Kind:
    name = type(error).__name__
    if exchange.problem:
        return exchange.problem  # type: ignore[no-any-return]
    if exchange.status is None:
        return _unsent(name, said)
    if exchange.status >= 500:
        return "server"
    if name == "ContextWindowExceededError" or b"context_length_exceeded" in exchange.head:
        return "overflow"
    if name == "ContentPolicyViolationError":
        return "refusal"
    if exchange.status < 400 and told and (code := _error_code(bytes(exchange.head))) >= 429:
        return "server" if code >= 500 else "rate"  # brokers of several providers answer so
    if exchange.status < 400:
        return "page" if told or _is_page(exchange) or "json" not in exchange.content_type else "garbled"
    if b"insufficient_quota" in exchange.head or b"credit balance" in exchange.head:
        return "quota"
    if _is_page(exchange) and exchange.status not in (408, 429):
        return "page"
    return _BY_STATUS.get(exchange.status, "request")


def _unsent(name: str, said: str) -> Kind:
    if name in ("AuthenticationError", "PermissionDeniedError") or _KEYLESS.search(said):
        return "key"
    if name == "Timeout":
        return "timeout"
    if name in ("APIConnectionError", "InternalServerError", "ServiceUnavailableError"):
        return "connect"
    return "model" if name == "NotFoundError" else "request"


def _is_page(exchange: Any) -> bool:
    return "html" in exchange.content_type or bytes(exchange.head).lstrip()[:1] == b"<"


def _named(exchange: Any) -> str:
    return "HTML" if _is_page(exchange) else exchange.content_type or "something"


def _error_message(head: bytes) -> str:
    """What an error's body says, in the forms that providers give it; ``""`` where it has none of them."""
    try:
        data = json.loads(head)
    except (ValueError, RecursionError):
        return ""
    error = data.get("error", data) if isinstance(data, dict) else ""
    if isinstance(error, dict):
        error = error.get("message") or error.get("detail") or ""
    return " ".join(error.split()) if isinstance(error, str) else ""


def _error_code(head: bytes) -> int:
    error = json.loads(head).get("error")
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, int) and (code == 429 or 500 <= code < 600) else 0


def _tidy(text: str) -> str:
    """litellm's text without its own prefixes and without a traceback."""
    text = text.split("\nTraceback")[0]
    return " ".join(re.sub(r"\blitellm\.\w+: |\b\w+Error: |\b\w+Exception - ", "", text).split())
