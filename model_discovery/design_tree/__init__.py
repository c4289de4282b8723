"""The tree of designs in SQL: campaigns, designs, verifications, jobs, decisions, events.

SQLAlchemy is loaded when `DesignTree` is first asked for.
"""

from typing import TYPE_CHECKING, Any

from model_discovery.design_tree.faults import (
    AlreadyApplied,
    DuplicateDesign,
    DuplicateVerification,
    InvalidTransition,
    TreeStateError,
    UnknownRow,
)
from model_discovery.design_tree.rows import (
    Applied,
    CampaignRow,
    DecisionRow,
    DesignRow,
    EventRow,
    JobRow,
    NewDecision,
    NewDesign,
    NewVerification,
    Parent,
    VerificationRow,
)
from model_discovery.design_tree.status import NEXT_STATUS, STATUSES

if TYPE_CHECKING:
    from model_discovery.design_tree.tree import DesignTree as DesignTree

__all__ = [
    "NEXT_STATUS",
    "STATUSES",
    "AlreadyApplied",
    "Applied",
    "CampaignRow",
    "DecisionRow",
    "DesignRow",
    "DesignTree",
    "DuplicateDesign",
    "DuplicateVerification",
    "EventRow",
    "InvalidTransition",
    "JobRow",
    "NewDecision",
    "NewDesign",
    "NewVerification",
    "Parent",
    "TreeStateError",
    "UnknownRow",
    "VerificationRow",
]


def __getattr__(name: str) -> Any:
    if name == "DesignTree":
        from model_discovery.design_tree.tree import DesignTree

        return DesignTree
    raise AttributeError(f"module 'model_discovery.design_tree' has no attribute {name!r}")
