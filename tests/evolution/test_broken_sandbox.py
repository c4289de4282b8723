"""A sandbox that cannot start, on real workers: a campaign stops, records nothing, goes on once mended."""

from pathlib import Path
from typing import Any

import pytest
from evolution_makers import NAME, small_config

from model_discovery.blocks.seed_designs import seed_designs
from model_discovery.design_tree import DesignTree
from model_discovery.engine import LocalEngine
from model_discovery.errors import UserError
from model_discovery.evolution import Controller, RequestMaker, begin_campaign
from model_discovery.evolution.controller import WorkFunctions
from model_discovery.verification import get_recipe

BROKEN = WorkFunctions(design="broken_work:design", verify="broken_work:verify")
REAL = WorkFunctions()


@pytest.mark.slow
def test_no_run_and_no_design_fails_for_a_broken_sandbox(tmp_path: Path) -> None:
    seeds = {"min_gru": seed_designs()["min_gru"]}
    config = small_config(
        seed_designs=["min_gru"],
        in_flight=1,
        suites=[],
        design={"operators": {"mutation": 1.0}, "seeds_only_until": 0},
        budget={"designs": 1, "runs": {"0.1M": 2}},
        ladder={"seeds": {}},
    )
    recipe = get_recipe("grammar", tokens={"0.1M": 20_480})

    def sit(tree: DesignTree, functions: WorkFunctions, events: list[str]) -> Any:
        campaign = tree.campaign(NAME)
        requests = RequestMaker(tree, "find", recipe, tmp_path / "data")
        with LocalEngine(1) as engine:
            return Controller(
                tree, campaign, engine, requests, folder=tmp_path / "runs", functions=functions,
                on_event=lambda event: events.append(event.kind),
            ).run()  # fmt: skip

    with DesignTree(tmp_path / "tree.db") as tree:
        row = begin_campaign(tree, NAME, instruction="find", config=config, seeds=seeds, versions={})
        broken: list[str] = []
        half = WorkFunctions(design=BROKEN.design, verify=REAL.verify)
        for functions in (BROKEN, half):  # the first stops at a verification, the second at a design
            with pytest.raises(UserError, match=r"could not start: .*no_such_module"):
                sit(tree, functions, broken)
        assert not {"fruitless", "lost"} & set(broken)
        assert [run.status for run in tree.verifications(row.id)] == ["ok"]
        assert tree.campaign(NAME).state == "stopped"
        assert sit(tree, REAL, []).state == "finished"
        assert [run.status for run in tree.verifications(row.id)] == ["ok", "ok"]
