"""A campaign whose models' server got another address goes on there, as the same campaign."""

from pathlib import Path
from typing import Any

import pytest
from evolution_makers import NAME, begin, sit, small_config, whole_campaign

from model_discovery.design_tree import DesignTree
from model_discovery.engine import Job
from model_discovery.evolution import StopFlag, current_config, resume_campaign, simulator
from model_discovery.evolution.controller import WorkFunctions
from model_discovery.evolution.simulator import InlineEngine

OLD, NEW = "http://127.0.0.1:8000/v1", "http://127.0.0.1:9000/v1"
FUNCTIONS = WorkFunctions(design="llm_work:run_design", verify=simulator.FUNCTIONS.verify)
CONFIG = small_config(
    designers={"agentic": 0.7, "genetic": 0.3},
    budget={"designs": 8, "runs": {"0.1M": 16, "0.4M": 5}},
    agents={"model": "openai/mine", "api_base": OLD},
)


class Listening(InlineEngine):
    """Keeps the address that each session is given."""

    def __init__(self) -> None:
        super().__init__(2)
        self.asked: list[str] = []

    def submit(self, job: Job) -> None:
        if job.request.get("agents"):
            self.asked.append(job.request["agents"]["api_base"])
        super().submit(job)


@pytest.mark.parametrize("again", [None, OLD])
def test_sessions_in_flight_and_later_ones_ask_at_the_new_address(again: str | None, tmp_path: Path) -> None:
    whole = whole_campaign(tmp_path / "whole", CONFIG, functions=FUNCTIONS)
    with DesignTree(tmp_path / "tree.db") as tree:
        row = begin(tree, CONFIG)
        stop, before, after = StopFlag(), Listening(), Listening()

        def halt(event: Any) -> None:
            if event.kind == "submitted" and len(before.asked) == 2:
                stop.stop("killed")

        sit(tree, tmp_path, before, watch=halt, stop=stop, functions=FUNCTIONS)
        seeds = simulator.simulated_seeds(4)
        resume_campaign(tree, NAME, seeds, api_base=NEW)
        resume_campaign(tree, NAME, seeds, api_base=NEW)
        resume_campaign(tree, NAME, seeds, api_base=again)
        done = sit(tree, tmp_path, after, functions=FUNCTIONS)

        now = again or NEW
        assert set(before.asked) == {OLD} and len(after.asked) > 2 and set(after.asked) == {now}
        assert done.of_kind("taken_up"), "one was in flight"
        assert done.ending.lineage_hash == whole.ending.lineage_hash
        assert tree.campaign(NAME).config == row.config, "it stays as it was begun"
        assert current_config(tree, row).agents.api_base == now
        moves = [event.data for event in tree.events(row.id) if event.kind == "moved"]
        assert moves == [{"api_base": NEW, "before": OLD}] + [{"api_base": OLD, "before": NEW}] * bool(again)
