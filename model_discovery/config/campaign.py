"""What a campaign is asked to do: one pydantic object, from a preset and overrides."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from model_discovery.config.agents import AgentsConfig

Share = Annotated[float, Field(ge=0)]
SandboxLevel = Literal["auto", "plain", "namespaces"]
TrackerName = Literal["none", "wandb", "tensorboard"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OperatorMix(_Model):
    """Shares of the operators; they need not add up to 1."""

    mutation: Share = 0.80
    crossover: Share = 0.15
    scratch: Share = 0.05


class DesignConfig(_Model):
    """How designs are asked for.

    ``crossover_from`` and ``scratch_from`` count implemented designs, human ones included;
    ``seeds_only_until`` counts verified designs.
    """

    operators: OperatorMix = OperatorMix()
    crossover_from: int = Field(10, ge=0)
    scratch_from: int = Field(20, ge=0)
    seeds_only_until: int = Field(10, ge=0)
    max_attempts: PositiveInt = 4
    hold_unverified: PositiveInt = 4


class BudgetConfig(_Model):
    """What may be spent: designs, verification runs per scale, wall time.

    ``runs`` counts the human baselines too. With no designs at all, every human design is run with every
    seed of ``ladder.seeds`` at every scale: a survey of baselines. ``patience`` ends a campaign after that
    many designs in a row without a better one; ``None`` means never.
    """

    designs: NonNegativeInt
    runs: dict[str, PositiveInt] = Field(min_length=1)
    wall_minutes: PositiveFloat | None = None
    patience: PositiveInt | None = None


class LadderConfig(_Model):
    """Who climbs: after ``k`` runs at a scale ``floor(k * ratio)`` are open at the next.

    ``seeds`` is how many seeds a design needs at a scale before it may be called best there (1 unless told).
    A design's first run at a scale is stopped at a quarter or half of its tokens where its loss is among the
    worst ``stop_worst`` of all designs there, once ``stop_from`` of them have run; 0 finishes every run.
    """

    ratio: float = Field(0.25, gt=0, le=1)
    seeds: dict[str, PositiveInt] = {}
    stop_worst: float = Field(0.25, ge=0, lt=1)
    stop_from: int = Field(8, ge=2)


class CampaignConfig(_Model):
    """The whole configuration of a campaign, stored with it."""

    preset: str
    seed: int = Field(0, ge=0)
    recipe: str = "grammar"
    corpus: str | None = None
    suite_dirs: dict[str, str] = {}
    tokens: dict[str, PositiveInt] = {}
    suites: tuple[str, ...] = ("minimal-pairs",)
    seed_designs: tuple[str, ...] = Field(min_length=1)
    designers: dict[str, Share] = {"genetic": 1.0}
    selector: str = "posterior"
    in_flight: PositiveInt = 4
    workers: PositiveInt | None = None
    sandbox: SandboxLevel = "auto"
    track: TrackerName = "none"
    design: DesignConfig = DesignConfig()
    agents: AgentsConfig = AgentsConfig()
    budget: BudgetConfig
    ladder: LadderConfig = LadderConfig()

    @model_validator(mode="before")
    @classmethod
    def _older_form(cls, values: object) -> object:
        """Campaigns of earlier versions name BLiMP's folder alone."""
        if isinstance(values, dict) and "blimp_dir" in values:
            values = dict(values)
            if (folder := values.pop("blimp_dir")) is not None:
                values["suite_dirs"] = {"blimp": folder} | dict(values.get("suite_dirs") or {})
        return values

    @property
    def scales(self) -> tuple[str, ...]:
        """Scales of the ladder, lowest first, as the budget names them."""
        return tuple(self.budget.runs)

    def with_agents(self, **values: object) -> "CampaignConfig":
        """The same with these values of ``agents``."""
        return self.model_copy(update={"agents": self.agents.model_copy(update=values)})
