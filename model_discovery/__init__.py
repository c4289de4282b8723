"""model_discovery finds new language-model architectures.

>>> from model_discovery import BuildSystem                         # doctest: +SKIP
>>> result = BuildSystem()("discover me a new model")               # doctest: +SKIP
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from model_discovery.system import BuildSystem as BuildSystem
    from model_discovery.system import DiscoveryResult as DiscoveryResult

__version__ = "0.1.0"
__all__ = ["BuildSystem", "DiscoveryResult", "__version__"]


def __getattr__(name: str) -> Any:
    """Load the composition root only when it is asked for: importing the package stays free."""
    if name in ("BuildSystem", "DiscoveryResult"):
        from model_discovery import system

        return getattr(system, name)
    raise AttributeError(f"module 'model_discovery' has no attribute {name!r}")
