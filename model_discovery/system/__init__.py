"""The composition root: one object that joins the rooms into a system, and what it hands back."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from model_discovery.system.build_system import BuildSystem as BuildSystem
    from model_discovery.system.result import DiscoveryResult as DiscoveryResult

__all__ = ["BuildSystem", "DiscoveryResult"]


def __getattr__(name: str) -> Any:
    if name == "BuildSystem":
        from model_discovery.system.build_system import BuildSystem

        return BuildSystem
    if name == "DiscoveryResult":
        from model_discovery.system.result import DiscoveryResult

        return DiscoveryResult
    raise AttributeError(f"module 'model_discovery.system' has no attribute {name!r}")
