"""What a design is worth: recipes and their data, training, scoring, and the proof that trained weights were scored.

Names are loaded when they are asked for: importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from model_discovery.verification.data import prepare as prepare
    from model_discovery.verification.manifest import DataManifest as DataManifest
    from model_discovery.verification.manifest import load_manifest as load_manifest
    from model_discovery.verification.recipes import RECIPE_NAMES as RECIPE_NAMES
    from model_discovery.verification.recipes import Recipe as Recipe
    from model_discovery.verification.recipes import get_recipe as get_recipe

_WHERE = {
    "DataManifest": "manifest",
    "RECIPE_NAMES": "recipes",
    "Recipe": "recipes",
    "get_recipe": "recipes",
    "load_manifest": "manifest",
    "prepare": "data",
}

__all__ = ["RECIPE_NAMES", "DataManifest", "Recipe", "get_recipe", "load_manifest", "prepare"]


def __getattr__(name: str) -> Any:
    """Load a public name from its module."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
