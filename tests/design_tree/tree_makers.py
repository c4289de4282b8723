"""Rows for the tests of the design tree."""

from typing import Any

from model_discovery.design_tree import CampaignRow, DesignTree, NewDecision, NewDesign


def make_campaign(tree: DesignTree, name: str = "first") -> CampaignRow:
    return tree.create_campaign(
        name, instruction="discover", config={"in_flight": 4}, seed=7, versions={"a": "1"}
    )


def seed_design(name: str = "retnet") -> NewDesign:
    return NewDesign(
        name, "seed", None, "valid", None, {"root": name}, f"hash of {name}", {"0.1M": {"width": 64}}
    )


def child(name: str, *parents: tuple[str, str], **changes: Any) -> NewDesign:
    fields: dict[str, Any] = {
        "name": name,
        "origin": "genetic",
        "operator": "mutation",
        "status": "valid",
        "proposal": {"title": name},
        "unit_tree": {"root": name},
        "structure_hash": f"hash of {name}",
        "parents": parents,
    }
    return NewDesign(**(fields | changes))


DECISION = NewDecision(
    "design", {"parents": ["retnet"], "score": 0.5}, ["retnet", "hawk"], {"retnet": 0.5}, "best"
)
