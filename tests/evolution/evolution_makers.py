"""Small simulated campaigns on a real tree."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_discovery.config import CampaignConfig, parse_config
from model_discovery.design_tree import CampaignRow, DesignTree
from model_discovery.evolution import (
    CampaignEvent,
    Controller,
    Ending,
    RequestMaker,
    StopFlag,
    begin_campaign,
    simulator,
)
from model_discovery.evolution.controller import WorkFunctions
from model_discovery.evolution.state import CampaignState, Design, Estimate, Run
from model_discovery.verification.recipes import get_recipe

NAME = "rehearsed"
Watch = Callable[[CampaignEvent], None]


def small_config(**changes: Any) -> CampaignConfig:
    """Four baselines, six designs, two scales; ``budget``, ``design`` and ``ladder`` are merged, others
    replaced.
    """
    values: dict[str, Any] = {
        "preset": "test",
        "seed_designs": [f"human_{number}" for number in range(4)],
        "in_flight": 3,
        "design": {
            "operators": {"mutation": 0.6, "crossover": 0.25, "scratch": 0.15},
            "crossover_from": 4, "scratch_from": 4, "seeds_only_until": 4,
        },
        "budget": {"designs": 6, "runs": {"0.1M": 12, "0.4M": 5}},
        "ladder": {"ratio": 0.4, "seeds": {"0.4M": 2}},
    }  # fmt: skip
    for key, value in changes.items():
        values[key] = {**values[key], **value} if key in ("budget", "design", "ladder") else value
    return parse_config(values)


def begin(tree: DesignTree, config: CampaignConfig) -> CampaignRow:
    """A campaign in the simulated world."""
    seeds = simulator.simulated_seeds(len(config.seed_designs))
    return begin_campaign(tree, NAME, instruction="find", config=config, seeds=seeds, versions={})


@dataclass
class Sitting:
    """What came of running a campaign for a while."""

    ending: Ending
    state: CampaignState
    events: list[CampaignEvent]

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        return [event.data for event in self.events if event.kind == kind]


def sit(
    tree: DesignTree,
    folder: Path,
    engine: Any = None,
    *,
    watch: Watch | None = None,
    stop: StopFlag | None = None,
    functions: WorkFunctions = simulator.FUNCTIONS,
    **options: Any,
) -> Sitting:
    """Run the campaign of a tree until it ends or is told to stop."""
    events: list[CampaignEvent] = []

    def note(event: CampaignEvent) -> None:
        events.append(event)
        if watch is not None:
            watch(event)

    campaign = tree.campaign(NAME)
    requests = RequestMaker(tree, "find", get_recipe("grammar"), folder)
    place = engine or simulator.InlineEngine()
    controller = Controller(
        tree,
        campaign,
        place,
        requests,
        folder=folder,
        functions=functions,
        on_event=note,
        stop=stop,
        **options,
    )
    ending = controller.run()
    return Sitting(ending, controller.state, events)


def whole_campaign(folder: Path, config: CampaignConfig, engine: Any = None, **options: Any) -> Sitting:
    """A campaign from begin to end, in its own tree."""
    folder.mkdir(parents=True, exist_ok=True)
    with DesignTree(folder / "tree.db") as tree:
        begin(tree, config)
        return sit(tree, folder, engine, **options)


def state_with(
    config: CampaignConfig, losses: dict[str, list[list[float | None]]], human: int | None = None
) -> CampaignState:
    """A state whose designs have these losses: ``{name: [[by seed at scale 0], [at scale 1], ...]}``.

    The first ``human`` are baselines (as many as the configuration names, unless told); a None is a failed
    run.
    """
    state = CampaignState(config)
    human = len(config.seed_designs) if human is None else human
    for number, name in enumerate(losses):
        origin = "seed" if number < human else "genetic"
        state.add_design(Design(number + 1, name, origin, None, f"hash_{name}", (), f"family_{number % 3}"))
    for index, runs in enumerate(losses.values()):
        for scale, seeds in enumerate(runs):
            for seed, loss in enumerate(seeds):
                state.reserve_run(index, scale)
                known = None if loss is None else Estimate(loss, 0.01)
                state.settle_run(index, Run(scale, seed, "ok" if known else "diverged", known))
    return state
