"""What each role answers. Field descriptions are part of the prompt: models see them."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from model_discovery.designers.knowledge import Prediction
from model_discovery.llm.schema import PYTHON

Rating = Annotated[float, Field(ge=0, le=5)]


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SearchNote(_Answer):
    """A search round: what to keep of the results seen so far, and what to look for next."""

    note: str = Field(description="what was learned and must be kept; the results themselves are dropped")
    keywords: list[str] = Field(
        description="at most 5 short queries for scholarly search engines; may be empty"
    )
    query: str = Field(description="one long query in full sentences for the paper library; may be empty")
    enough: bool = Field(description="true when no further search would change the answer")


class ProposalDraft(_Answer):
    """A proposed design in words."""

    title: str = Field(
        min_length=3, max_length=160, description="names the mechanism, not its hoped-for effect"
    )
    abstract: str = Field(min_length=20, description="one paragraph")
    motivation: str = Field(description="what is wanting in the parents, with the measurement that shows it")
    changes: list[str] = Field(min_length=1, description="one sentence a change")
    paths: list[str] = Field(
        description="slot paths that change, such as 'mixer' or 'ffn.gate'; exactly one for a mutation, "
        "'' for the whole block"
    )
    equations: str = Field(description="the new unit's equations, every symbol with its shape")
    pseudo_code: str = Field(description="the forward pass, a dozen lines at most")
    expected_effect: str = Field(description="what it changes, on which inputs, and what it costs")
    prediction: Prediction = Field(description="what will be measured if the idea is right")
    risks: list[str] = Field(description="what could make it fail, the likeliest first")
    references: list[str] = Field(description="ids of papers shown, such as arXiv ids; none invented")


class Review(_Answer):
    """An adversarial review of a proposal; every rating from 0 (worst) to 5."""

    novelty: Rating = Field(description="against human units, papers and earlier proposals")
    soundness: Rating = Field(description="equations, shapes, causality, numbers")
    effect: Rating = Field(description="expected effect on the loss")
    efficiency: Rating = Field(description="time, memory and parameters against what it replaces")
    scalability: Rating = Field(description="will it hold at larger widths, depths and lengths")
    feasibility: Rating = Field(description="can it be implemented within the contract")
    rating: Rating = Field(description="overall; not the mean: the weakest point that matters decides")
    concerns: list[str] = Field(description="each about one equation or sentence, the worst first")
    suggestions: list[str] = Field(description="each mends a concern")


class Reuse(_Answer):
    """A part that exists: a registry unit by class name, or what stands at a slot path of a parent."""

    unit: str = Field("", description="class name of a unit of the registry; '' when from a parent")
    parent: str = Field("", description="name of a parent design; '' when from the registry")
    path: str = Field("", description="slot path in that parent")


class Plan(_Answer):
    """Which open slot is filled next, and with what. No code."""

    path: str = Field(description="one of the open slots")
    purpose: str = Field(description="what the unit must do, in the proposal's terms")
    inputs: str = Field(description="what it reads: shapes, side variables, and what it must write")
    slots: str = Field(description="which slots it should declare for later units, or that it needs none")
    reuse: Reuse | None = Field(None, description="an existing part to put there instead of writing one")


class ChildUnit(_Answer):
    """A unit for a slot that the unit above it declares."""

    slot: str = Field(description="slot path relative to the new unit, such as 'inner'")
    source: str = Field(
        "", description="a whole unit file; '' when reused", json_schema_extra={"contentMediaType": PYTHON}
    )
    reuse: Reuse | None = None


class UnitCode(_Answer):
    """One unit, as a whole file; it may bring units for its own slots."""

    explanation: str = Field(description="in two or three sentences, what was written and why it is causal")
    source: str = Field(
        description="the whole file: imports, one class, test_* functions",
        json_schema_extra={"contentMediaType": PYTHON},
    )
    children: list[ChildUnit] = Field(default_factory=list)


class Judgement(_Answer):
    """The observer's opinion of a unit that passed its checks."""

    follows: Rating = Field(description="does what the proposal and the plan say")
    clear: Rating = Field(description="a researcher understands it at first reading")
    new: Rating = Field(description="5: unlike every similar unit shown, 0: one of them under another name")
    rating: Rating = Field(description="overall")
    concerns: list[str]
    suggestions: list[str]
