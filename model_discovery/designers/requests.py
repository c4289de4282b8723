"""What a designer is asked and what it answers."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from model_discovery.blocks.unit_tree import UnitTree
from model_discovery.checks.report import Finding
from model_discovery.config import AgentsConfig, SandboxLevel
from model_discovery.designers.knowledge import FailedIdea, Knowledge, Prediction
from model_discovery.errors import UserError, nearest

Operator = Literal["scratch", "mutation", "crossover"]


class NothingNew(UserError):
    """A designer found no structure that does not exist yet."""


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ParentDesign(_Data):
    """A design to start from."""

    name: str
    unit_tree: UnitTree


class Proposal(_Data):
    """What a design is meant to be, in words.

    ``changes`` has one entry a change, ``path`` is the slot path of the first one (``""``: the root, or the
    whole block) and ``paths`` all of them where they are known, ``papers`` are the arXiv ids that the changes
    draw on. What follows ``papers`` only designers that argue have: an LLM's ``review`` is its words and
    ratings, by question.
    """

    title: str
    summary: str
    changes: tuple[str, ...] = ()
    operator: Operator
    path: str = ""
    paths: tuple[str, ...] = ()
    papers: tuple[str, ...] = ()
    motivation: str = ""
    equations: str = ""
    pseudo_code: str = ""
    expected_effect: str = ""
    prediction: Prediction | None = None
    risks: tuple[str, ...] = ()
    review: dict[str, Any] = {}


class DesignLimits(_Data):
    """At which scales a design has to be possible, how often to try, and how to run what nobody has read."""

    scales: tuple[str, ...] = ("0.1M",)
    max_attempts: int = Field(4, ge=1)
    sandbox: SandboxLevel = "auto"


class DesignRequest(_Data):
    """A request for one design. ``avoid`` holds the structure hashes that exist already.

    ``knowledge`` and ``agents`` are read by designers with language models. ``unfinished`` is a proposal of
    an earlier session that passed its review and was not implemented: it is taken up instead of a new one.
    """

    designer: str = "genetic"
    instruction: str = ""
    operator: Operator
    parents: tuple[ParentDesign, ...] = ()
    references: tuple[str, ...] = ()
    limits: DesignLimits = DesignLimits()
    seed: int = 0
    avoid: tuple[str, ...] = ()
    knowledge: Knowledge = Knowledge()
    agents: AgentsConfig | None = None
    unfinished: Proposal | None = None


class Attempt(_Data):
    """One proposal that was checked, and what was found."""

    structure_hash: str
    ok: bool
    findings: tuple[Finding, ...] = ()


class Spending(_Data):
    """What requests to language models took; it adds up.

    Attributes
    ----------
    calls
        Requests that were paid for, or may have been.
    input_tokens, output_tokens, cached_tokens
        As providers count them; cached ones are part of the input.
    dollars
        The sum of what is known; None where nothing is.
    unpriced_tokens
        Tokens of models without a known price, which ``dollars`` lacks.
    seconds
        Of waiting for answers.
    unanswered, unanswered_tokens, unanswered_dollars
        Requests that were sent and have no answer, since they are on their way or a kill came before, and the
        most that they may take. In no other number; only a campaign's ledger knows of them.
    """

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    dollars: float | None = None
    unpriced_tokens: int = 0
    seconds: float = 0.0
    unanswered: int = 0
    unanswered_tokens: int = 0
    unanswered_dollars: float = 0.0

    @model_validator(mode="before")
    @classmethod
    def _without_price(cls, values: Any) -> Any:
        """Without dollars nothing has a price; earlier versions kept only that."""
        if isinstance(values, dict) and values.get("dollars") is None and "unpriced_tokens" not in values:
            tokens = values.get("input_tokens", 0) + values.get("output_tokens", 0)
            return {**values, "unpriced_tokens": tokens}
        return values

    @property
    def tokens(self) -> int:
        """In and out."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: "Spending") -> "Spending":
        known = [dollars for dollars in (self.dollars, other.dollars) if dollars is not None]
        added = {
            name: getattr(self, name) + getattr(other, name)
            for name in Spending.model_fields
            if name != "dollars"
        }
        return Spending(**added, dollars=sum(known) if known else None)


class DesignOutcome(_Data):
    """The answer to a request: a valid design, or the attempts that led to none. ``sizes`` is by scale.

    ``proposal`` may stand without a tree: it was accepted and could not be implemented. ``limit`` names the
    limit that ended the session (``campaign dollars``), ``""`` when none did. ``rejected`` are ideas that did
    not pass their review. ``trace`` is the journal's path relative to the job's folder, ``reworded``
    counts the questions of a replay that were worded otherwise than when they were recorded.
    """

    status: Literal["valid", "abandoned"]
    proposal: Proposal | None = None
    unit_tree: UnitTree | None = None
    structure_hash: str = ""
    sizes: dict[str, dict[str, int]] = {}
    attempts: tuple[Attempt, ...] = ()
    seconds: float = 0.0
    spending: Spending | None = None
    limit: str = ""
    why: str = ""
    rejected: tuple[FailedIdea, ...] = ()
    trace: str = ""
    reworded: int = 0


def read_request(data: Any) -> DesignRequest:
    """A request from plain data, its parents' trees checked; UserError says what is wrong where."""
    try:
        request = DesignRequest.model_validate(data)
    except ValidationError as error:
        raise bad_data("design request", error, DesignRequest.model_fields) from None
    for parent in request.parents:
        parent.unit_tree.validate_tree()
    return request


def bad_data(what: str, error: ValidationError, known: Any) -> UserError:
    """The error for data that do not have the form of ``what``."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    near = (
        nearest(str(first["loc"][-1]), known) if first["loc"] and first["type"] == "extra_forbidden" else ""
    )
    outermost = first["type"] == "extra_forbidden" and len(first["loc"]) == 1
    hint = "" if near or not outermost else f"known: {', '.join(known)}"
    return UserError(f"Not a {what}: '{key}': {first['msg']}.{near}", hint=hint)
