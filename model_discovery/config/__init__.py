"""Configuration: presets, overrides, and the settings of a machine."""

from typing import TYPE_CHECKING, Any

from model_discovery.config.agents import AgentsConfig, Price, SpendingLimits
from model_discovery.config.campaign import (
    BudgetConfig,
    CampaignConfig,
    DesignConfig,
    LadderConfig,
    OperatorMix,
    SandboxLevel,
    TrackerName,
)
from model_discovery.config.loading import load_config, parse_config, presets

if TYPE_CHECKING:
    from model_discovery.config.settings import Settings as Settings

__all__ = [
    "AgentsConfig",
    "BudgetConfig",
    "CampaignConfig",
    "DesignConfig",
    "LadderConfig",
    "OperatorMix",
    "Price",
    "SandboxLevel",
    "Settings",
    "SpendingLimits",
    "TrackerName",
    "load_config",
    "parse_config",
    "presets",
]


def __getattr__(name: str) -> Any:
    if name == "Settings":
        from model_discovery.config.settings import Settings

        return Settings
    raise AttributeError(f"module 'model_discovery.config' has no attribute {name!r}")
