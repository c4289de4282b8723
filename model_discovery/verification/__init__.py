"""What a design is worth: recipes and their data, training, scoring, proof that trained weights were scored.

Names are loaded when they are asked for: importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from model_discovery.verification.baselines import Comparison as Comparison
    from model_discovery.verification.baselines import Noise as Noise
    from model_discovery.verification.baselines import compare as compare
    from model_discovery.verification.baselines import pool_noise as pool_noise
    from model_discovery.verification.data import prepare as prepare
    from model_discovery.verification.manifest import DataManifest as DataManifest
    from model_discovery.verification.manifest import load_manifest as load_manifest
    from model_discovery.verification.memory import check_fits as check_fits
    from model_discovery.verification.memory import largest_need as largest_need
    from model_discovery.verification.metrics import METRICS as METRICS
    from model_discovery.verification.metrics import Metric as Metric
    from model_discovery.verification.metrics import get_metric as get_metric
    from model_discovery.verification.recipes import RECIPE_NAMES as RECIPE_NAMES
    from model_discovery.verification.recipes import Recipe as Recipe
    from model_discovery.verification.recipes import get_recipe as get_recipe
    from model_discovery.verification.report import Cost as Cost
    from model_discovery.verification.report import Evidence as Evidence
    from model_discovery.verification.report import Measure as Measure
    from model_discovery.verification.report import Score as Score
    from model_discovery.verification.report import Size as Size
    from model_discovery.verification.report import VerificationReport as VerificationReport
    from model_discovery.verification.report import VerifyRequest as VerifyRequest
    from model_discovery.verification.suites import SUITES as SUITES
    from model_discovery.verification.suites import check_suites as check_suites
    from model_discovery.verification.suites import default_suites as default_suites
    from model_discovery.verification.suites import name_suites as name_suites

_MODULES = {
    "baselines": ("Comparison", "Noise", "compare", "pool_noise"),
    "data": ("prepare",),
    "manifest": ("DataManifest", "load_manifest"),
    "memory": ("check_fits", "largest_need"),
    "metrics": ("METRICS", "Metric", "get_metric"),
    "recipes": ("RECIPE_NAMES", "Recipe", "get_recipe"),
    "report": ("Cost", "Evidence", "Measure", "Score", "Size", "VerificationReport", "VerifyRequest"),
    "suites": ("SUITES", "check_suites", "default_suites", "name_suites"),
}
_WHERE = {name: module for module, names in _MODULES.items() for name in names}

__all__ = sorted(_WHERE)


def __getattr__(name: str) -> Any:
    """Load a public name from its module."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
