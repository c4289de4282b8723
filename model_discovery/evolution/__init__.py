"""Evolution: what is designed and verified next, and the loop that sees it done. Names load when first
asked for.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from model_discovery.evolution.budgets import pyramid as pyramid
    from model_discovery.evolution.campaigns import begin_campaign as begin_campaign
    from model_discovery.evolution.campaigns import check_campaign as check_campaign
    from model_discovery.evolution.campaigns import current_config as current_config
    from model_discovery.evolution.campaigns import resume_campaign as resume_campaign
    from model_discovery.evolution.controller import CampaignEvent as CampaignEvent
    from model_discovery.evolution.controller import Controller as Controller
    from model_discovery.evolution.controller import Ending as Ending
    from model_discovery.evolution.controller import WorkFunctions as WorkFunctions
    from model_discovery.evolution.describe import Description as Description
    from model_discovery.evolution.describe import describe_design as describe_design
    from model_discovery.evolution.designer_results import DesignerResult as DesignerResult
    from model_discovery.evolution.designer_results import by_designer as by_designer
    from model_discovery.evolution.knowledge import KnowledgeMaker as KnowledgeMaker
    from model_discovery.evolution.leaderboard import Leaderboard as Leaderboard
    from model_discovery.evolution.leaderboard import make_leaderboard as make_leaderboard
    from model_discovery.evolution.policy import decide_design as decide_design
    from model_discovery.evolution.predictions import judge as judge
    from model_discovery.evolution.requests import RequestMaker as RequestMaker
    from model_discovery.evolution.resume import add_design as add_design
    from model_discovery.evolution.resume import load_state as load_state
    from model_discovery.evolution.scoreboard import LeaderboardRow as LeaderboardRow
    from model_discovery.evolution.scoreboard import Scoreboard as Scoreboard
    from model_discovery.evolution.selectors import get_selector as get_selector
    from model_discovery.evolution.selectors import selector_names as selector_names
    from model_discovery.evolution.state import CampaignState as CampaignState
    from model_discovery.evolution.state import Estimate as Estimate
    from model_discovery.evolution.stopping import StopFlag as StopFlag
    from model_discovery.evolution.stopping import stop_on_signals as stop_on_signals

_MODULES = {
    "budgets": ("pyramid",),
    "designer_results": ("DesignerResult", "by_designer"),
    "campaigns": ("begin_campaign", "check_campaign", "current_config", "resume_campaign"),
    "controller": ("CampaignEvent", "Controller", "Ending", "WorkFunctions"),
    "describe": ("Description", "describe_design"),
    "knowledge": ("KnowledgeMaker",),
    "leaderboard": ("Leaderboard", "make_leaderboard"),
    "policy": ("decide_design",),
    "predictions": ("judge",),
    "requests": ("RequestMaker",),
    "resume": ("add_design", "load_state"),
    "scoreboard": ("LeaderboardRow", "Scoreboard"),
    "selectors": ("get_selector", "selector_names"),
    "state": ("CampaignState", "Estimate"),
    "stopping": ("StopFlag", "stop_on_signals"),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'model_discovery.evolution' has no attribute {name!r}")
    return getattr(importlib.import_module(f"model_discovery.evolution.{_HOME[name]}"), name)
