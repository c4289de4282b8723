"""How LLM designers work: models, flow, parts that may be switched off, and what they may spend."""

from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

Flow = Literal["units", "direct"]
LLM_DESIGNERS = ("agentic",)
"""Designers that ask a model, and so need one."""

Rating = Annotated[float, Field(ge=0, le=5)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SpendingLimits(_Model):
    """Upper bounds, each absent unless given: US dollars, tokens in and out, calls, minutes of clock."""

    dollars: PositiveFloat | None = None
    tokens: PositiveInt | None = None
    calls: PositiveInt | None = None
    minutes: PositiveFloat | None = None


class Price(_Model):
    """US dollars per million tokens, for a model whose price is not known."""

    input: NonNegativeFloat
    output: NonNegativeFloat


class AgentsConfig(_Model):
    """LLM designers of a campaign.

    Attributes
    ----------
    model
        A litellm name such as ``anthropic/claude-sonnet-5-5`` for every role, whatever its spec names.
    default_model
        For roles whose spec names none. Settled by the keys at hand when a campaign begins, so that it goes
        on with the same one.
    api_base
        Of an OpenAI-compatible server (vLLM, Ollama, …).
    agent_spec
        Folder of agent specs to use in place of the shipped ones, file by file.
    price
        Of a model that litellm has no price for.
    flow
        ``units``: one unit at a time, each checked where it will stand; ``direct``: the whole block in one
        file.
    planner, observer, search, checks
        Parts that may be switched off to measure what they are worth.
    online
        Whether a search asks Semantic Scholar and arXiv too, where they answer.
    n_proposals, n_implement
        Proposal chains of a session; how many of the best are implemented until one is valid.
    beam
        Alternatives kept for each unit, in the flow ``units``.
    proposal_attempts, search_rounds, unit_tries, failed_rounds
        Bounds of the loops: drafts of a chain, search rounds before the first draft and before its review
        (one before each later review), tries at a unit, failed rounds (steps back) of an implementation.
    pass_mark, accept_mark, duplicate
        From which rating a proposal passes its review and a unit its judge; from which similarity to an
        earlier proposal a new one is a duplicate.
    per_call, per_session, per_campaign
        What may be spent; of one call dollars and tokens only.
    replay
        Folder of a recorded campaign whose sessions are replayed instead of asking a model.
    """

    model: str | None = None
    default_model: str | None = None
    api_base: str | None = None
    agent_spec: str | None = None
    price: Price | None = None
    flow: Flow = "units"
    planner: bool = True
    observer: bool = True
    search: bool = True
    checks: bool = True
    online: bool = True
    n_proposals: PositiveInt = 1
    n_implement: PositiveInt = 1
    beam: PositiveInt = 1
    proposal_attempts: PositiveInt = 10
    search_rounds: int = Field(3, ge=0)
    unit_tries: PositiveInt = 7
    failed_rounds: PositiveInt = 3
    pass_mark: Rating = 4.0
    accept_mark: Rating = 3.0
    duplicate: float = Field(0.9, gt=0, le=1)
    per_call: SpendingLimits = SpendingLimits(tokens=200_000)
    per_session: SpendingLimits = SpendingLimits(calls=120)
    per_campaign: SpendingLimits = SpendingLimits()
    replay: str | None = None

    @field_validator("per_call")
    @classmethod
    def _of_one_call(cls, limits: SpendingLimits) -> SpendingLimits:
        """A bound that could hold nothing back would be taken for one that does."""
        if limits.calls is not None or limits.minutes is not None:
            raise ValueError("a call is limited in dollars and tokens; calls and minutes are per_session's")
        return limits

    @model_validator(mode="after")
    def _beam_of_units(self) -> "AgentsConfig":
        """The first block that passes is the design: there is nothing to keep alternatives for."""
        if self.flow == "direct" and self.beam > 1:
            raise ValueError(
                "beam keeps alternatives of a unit, and the flow direct builds no unit after another; "
                "leave out agents.beam, or use the flow units"
            )
        return self
