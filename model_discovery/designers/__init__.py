"""Designers: operators that make designs. Names load when first asked for; importing this costs nothing."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from model_discovery.designers.checking import DesignCheck as DesignCheck
    from model_discovery.designers.checking import open_sandbox as open_sandbox
    from model_discovery.designers.external import Answer as Answer
    from model_discovery.designers.external import ExternalDesigner as ExternalDesigner
    from model_discovery.designers.genetic import propose as propose
    from model_discovery.designers.knowledge import Knowledge as Knowledge
    from model_discovery.designers.knowledge import Prediction as Prediction
    from model_discovery.designers.loop import make_design as make_design
    from model_discovery.designers.names import design_name as design_name
    from model_discovery.designers.requests import Attempt as Attempt
    from model_discovery.designers.requests import DesignLimits as DesignLimits
    from model_discovery.designers.requests import DesignOutcome as DesignOutcome
    from model_discovery.designers.requests import DesignRequest as DesignRequest
    from model_discovery.designers.requests import NothingNew as NothingNew
    from model_discovery.designers.requests import ParentDesign as ParentDesign
    from model_discovery.designers.requests import Proposal as Proposal
    from model_discovery.designers.requests import Spending as Spending
    from model_discovery.designers.requests import read_request as read_request
    from model_discovery.designers.work import get_designer as get_designer
    from model_discovery.designers.work import run_design as run_design

_MODULES = {
    "checking": ("DesignCheck", "open_sandbox"),
    "external": ("Answer", "ExternalDesigner"),
    "genetic": ("propose",),
    "loop": ("make_design",),
    "names": ("design_name",),
    "knowledge": ("Knowledge", "Prediction"),
    "requests": (
        "Attempt",
        "DesignLimits",
        "DesignOutcome",
        "DesignRequest",
        "NothingNew",
        "ParentDesign",
        "Proposal",
        "Spending",
        "read_request",
    ),
    "work": ("get_designer", "run_design"),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'model_discovery.designers' has no attribute {name!r}")
    return getattr(importlib.import_module(f"model_discovery.designers.{_HOME[name]}"), name)
