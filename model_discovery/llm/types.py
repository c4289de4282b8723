"""What goes to a model and what comes back."""

from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

from model_discovery.config.agents import SpendingLimits
from model_discovery.errors import EXIT_FAILED, UserError

Parsed = TypeVar("Parsed", bound=BaseModel)
Role = Literal["system", "user", "assistant"]
SchemaMode = Literal["native", "fenced"]
BadKind = Literal["malformed", "schema", "empty", "refusal", "endless", "overflow"]


class Message(BaseModel):
    """One message. ``optional`` marks material that may be dropped when a context is full."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    role: Role
    content: str
    optional: bool = False


@dataclass(frozen=True)
class ModelSettings:
    """Which model is asked and how.

    Attributes
    ----------
    model
        A litellm name, ``provider/name``.
    fallbacks
        Models to ask, in order, where this one is not there (unknown, no access, down).
    api_base
        Address of an OpenAI-compatible server; also of the fallbacks of the same provider, and of no other.
    schema_mode
        ``native`` or ``fenced``; what the model is known to have unless told.
    requests_per_minute, tokens_per_minute
        Rate limits of this model, over all processes of a campaign; none unless told.
    timeout
        Seconds for one answer.
    limits
        What this role may spend in a session.
    """

    model: str
    fallbacks: tuple[str, ...] = ()
    api_base: str | None = None
    temperature: float | None = None
    max_output_tokens: int = 8192
    reasoning_effort: str | None = None
    schema_mode: SchemaMode | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    timeout: float = 300.0
    limits: SpendingLimits | None = None


@dataclass(frozen=True)
class Usage:
    """Tokens of a call, as the provider counts them; ``cached`` are part of ``input``."""

    input: int = 0
    output: int = 0
    cached: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(self.input + other.input, self.output + other.output, self.cached + other.cached)


@dataclass(frozen=True)
class Reply(Generic[Parsed]):
    """A model's answer.

    Attributes
    ----------
    parsed
        The answer as its schema; None when no schema was asked for.
    text
        The answer as it was written (the last one, after a repair turn).
    usage, dollars, seconds
        Of all requests behind it, a repair turn included. ``dollars`` is the sum of what is known, None where
        no price is.
    requests
        How many requests were paid for, or may have been.
    """

    parsed: Parsed | None
    text: str
    model: str
    usage: Usage
    dollars: float | None
    seconds: float
    request_id: str
    schema_mode: SchemaMode | None
    requests: int


class LimitReached(UserError):
    """A call that would break a limit; nothing was sent.

    Parameters
    ----------
    scope
        Whose limit: ``call``, ``role``, ``session`` or ``campaign``.
    what
        ``dollars``, ``tokens``, ``calls`` or ``minutes``.
    limit, used
        The limit, and what counted against it: spent or reserved.
    may_pass
        Requests on their way hold reservations without which this one would fit.
    """

    def __init__(
        self,
        message: str,
        *,
        scope: str,
        what: str,
        limit: float = 0.0,
        used: float = 0.0,
        may_pass: bool = False,
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.scope = scope
        self.what = what
        self.limit = limit
        self.used = used
        self.may_pass = may_pass


class BadReply(Exception):
    """The model answered, was paid, and the answer is of no use, also after the repair turn.

    Parameters
    ----------
    kind
        ``malformed``: no JSON; ``schema``: fields are wrong; ``empty``; ``refusal``; ``endless``: longer than
        allowed; ``overflow``: the messages are longer than what the model can read.
    """

    def __init__(self, kind: BadKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class ModelUnavailable(UserError):
    """No model could be asked: key, name, address or server. The reader has something to mend."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint, exit_code=EXIT_FAILED)
