"""Beginning a campaign: its row, and the human designs it grows from."""

from collections.abc import Mapping
from typing import Any

from model_discovery.blocks.scales import get_scale
from model_discovery.blocks.seed_designs import SeedDesign
from model_discovery.config import CampaignConfig, parse_config
from model_discovery.design_tree import CampaignRow, DesignTree, NewDesign
from model_discovery.errors import UserError, unknown
from model_discovery.evolution.budgets import check_budget
from model_discovery.evolution.operators import check_designers
from model_discovery.evolution.selectors import get_selector

MOVED = "moved"
"""Kind of the event that says where the models' server of a campaign is from now on."""


def begin_campaign(
    tree: DesignTree,
    name: str,
    *,
    instruction: str,
    config: CampaignConfig,
    seeds: Mapping[str, SeedDesign],
    versions: dict[str, Any],
) -> CampaignRow:
    """Create a campaign, after looking at everything in its configuration that this room can judge.

    Parameters
    ----------
    seeds
        Human designs by name; those that ``config.seed_designs`` names are used.
    versions
        Releases of what decides results.

    Raises
    ------
    UserError
        An empty instruction; an unknown selector, designer, scale or seed design (with the nearest name);
        scales not in ascending order; a budget that leaves no run for a design; a name that is taken.
    """
    check_campaign(instruction, config, seeds)
    values = config.model_dump(mode="json")
    row = tree.create_campaign(
        name, instruction=instruction, config=values, seed=config.seed, versions=versions
    )
    add_seed_designs(tree, row.id, config, seeds)
    return row


def resume_campaign(
    tree: DesignTree, name: str, seeds: Mapping[str, SeedDesign], *, api_base: str | None = None
) -> CampaignRow:
    """The campaign of this name, ready to go on: a kill while it began may have left human designs out.

    Parameters
    ----------
    api_base
        Where the server of its models is from now on, if it has moved. Kept in the timeline: the
        configuration stays as the campaign was begun.
    """
    row = tree.campaign(name)
    config = current_config(tree, row)
    add_seed_designs(tree, row.id, config, seeds)
    if api_base is not None and api_base != config.agents.api_base:
        tree.record_event(row.id, MOVED, {"api_base": api_base, "before": config.agents.api_base})
    return row


def current_config(tree: DesignTree, campaign: CampaignRow) -> CampaignConfig:
    """What a campaign goes on with: as it was begun, and the models' server where it is now."""
    config = parse_config(campaign.config)
    moves = [event.data["api_base"] for event in tree.events(campaign.id) if event.kind == MOVED]
    return config.with_agents(api_base=moves[-1]) if moves else config


def check_campaign(instruction: str, config: CampaignConfig, seeds: Mapping[str, SeedDesign]) -> None:
    """Raise the `UserError` that `begin_campaign` would raise, and change nothing."""
    if not instruction.strip():
        raise UserError("The instruction is empty.", hint='say what to look for: "discover me a new model"')
    get_selector(config.selector)
    check_designers(config.designers)
    for name in config.seed_designs:
        if name not in seeds:
            raise unknown("seed design", name, seeds)
    targets = [get_scale(scale).target for scale in config.scales]
    if targets != sorted(set(targets)):
        raise UserError(
            f"budget.runs names the scales {', '.join(config.scales)}.", hint="each once, the smallest first"
        )
    for scale in config.ladder.seeds:
        get_scale(scale)  # a scale without a budget may keep its seeds: presets are changed budget by budget
    check_budget(config.budget.runs, len(set(config.seed_designs)), config.budget.designs)


def add_seed_designs(
    tree: DesignTree, campaign_id: int, config: CampaignConfig, seeds: Mapping[str, SeedDesign]
) -> None:
    """Add the human designs that are not in the tree yet: some may be, when a process was killed in
    between.
    """
    present = {row.name for row in tree.designs(campaign_id)}
    for name in dict.fromkeys(config.seed_designs):
        if name not in present:
            tree.add_design(campaign_id, _seed(seeds[name]))


def _seed(design: SeedDesign) -> NewDesign:
    papers = list(design.papers)
    return NewDesign(
        name=design.name, origin="seed", operator=None, status="valid",
        proposal={"title": design.title, "summary": design.summary, "papers": papers},
        unit_tree=design.tree.to_json(), structure_hash=design.tree.structure_hash,
    )  # fmt: skip
