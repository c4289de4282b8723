"""What a campaign knows of a design, for its model card: ancestors, comparison with baselines, origin."""

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from model_discovery.system import views

if TYPE_CHECKING:
    from model_discovery.blocks import UnitTree
    from model_discovery.design_tree import CampaignRow, DesignTree
    from model_discovery.evolution import CampaignState, Leaderboard
    from model_discovery.export import Origin, Story

_OWN_PATHS = {"corpus": "YOUR_TEXT", "agents.agent_spec": "YOUR_SPECS", "agents.api_base": "YOUR_SERVER"}
_LEFT_OUT = ("workers", "preset", "track", "suite_dirs", "agents.replay")


def story_in_tree(name: str, tree: "UnitTree", db: str, campaign: str | None) -> "Story":
    """What a campaign knows of a design; of a human one that is in none, who thought of it."""
    from model_discovery.blocks.seed_designs import seed_designs
    from model_discovery.export import Story

    hashes = {seed.tree.structure_hash: seed for seed in seed_designs().values()}
    seed = hashes.get(tree.structure_hash)
    aside = Story(human=f"{seed.title}: {seed.summary}" if seed else "")
    if not views.exists(db):
        return aside
    with views.open_campaign(db, campaign, required=campaign is not None) as (designs, row):
        found = {d.name: d for d in designs.designs(row.id)} if row is not None else {}
        if row is None or name not in found or found[name].structure_hash != tree.structure_hash:
            return aside
        story = tell(designs, row, name)
        return replace(story, human=aside.human)


def tell(
    tree: "DesignTree",
    campaign: "CampaignRow",
    name: str,
    *,
    state: "CampaignState | None" = None,
    board: "Leaderboard | None" = None,
) -> "Story":
    """Ancestors, and the comparison with the baselines, as a campaign's tree holds them."""
    from model_discovery.config import parse_config
    from model_discovery.evolution import describe_design, load_state, make_leaderboard
    from model_discovery.export import Story

    state = state or load_state(tree, campaign.id, parse_config(campaign.config))
    board = board or make_leaderboard(state)
    best = board.best is not None and board.best.design == name
    rival = [board.baseline] if best and board.baseline is not None else []
    return Story(
        description=describe_design(tree, state, name),
        board=(*(row for row in board.rows if row.design == name), *rival),
        verdict=board.status if best else "",
        origin=_origin(tree, campaign),
    )


def _origin(tree: "DesignTree", campaign: "CampaignRow") -> "Origin":
    from model_discovery.export import Origin

    return Origin(
        campaign=campaign.name,
        instruction=campaign.instruction,
        command=_command(campaign.instruction, campaign.config),
        lineage_hash=tree.lineage_hash(campaign.id),
    )


def _command(instruction: str, config: Mapping[str, Any]) -> str:
    """What has to be typed to run a campaign again: its preset, and every key that differs."""
    from model_discovery.config import load_config

    words = ["model-discovery", "discover", instruction, "--preset", str(config["preset"])]
    preset = load_config(str(config["preset"])).model_dump(mode="json")
    for path, value in _differences(preset, config, ""):
        if path in _LEFT_OUT:
            continue
        if path == "suites":
            folders = config.get("suite_dirs") or {}
            words += [
                word
                for suite in value
                for word in ("--suite", f"{suite}=FOLDER" if suite in folders else str(suite))
            ]
            continue
        if path in _OWN_PATHS:
            option = path.rpartition(".")[2].replace("_", "-")
            words += [f"--{option}", _OWN_PATHS[path]]
        else:
            words += ["--set", f"{path}={json.dumps(value)}"]
    return " ".join(shlex.quote(word) for word in words)


def _differences(
    before: Mapping[str, Any], after: Mapping[str, Any], prefix: str
) -> Iterator[tuple[str, Any]]:
    for key, value in after.items():
        old = before.get(key)
        if isinstance(value, Mapping) and isinstance(old, Mapping) and value.keys() == old.keys():
            yield from _differences(old, value, f"{prefix}{key}.")
        elif value != old:
            yield f"{prefix}{key}", value
