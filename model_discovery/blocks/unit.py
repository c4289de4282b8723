"""What a unit source imports: the contract, and a validated config."""

from pydantic import BaseModel, ConfigDict, Field

from model_discovery.blocks import runtime
from model_discovery.blocks.runtime import ContractError, Placeholder, Slot, UnitContext, UnitPlan, build_plan

__all__ = [
    "GAU",
    "ContractError",
    "Field",
    "Placeholder",
    "Slot",
    "UnitConfig",
    "UnitContext",
    "UnitPlan",
    "build_plan",
]


class UnitConfig(BaseModel):
    """Hyper-parameters of a unit, ranges included; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


GAU = runtime.GAU
GAU.Config = UnitConfig
