"""Designs that people add between two sittings: run like others, at the same place on every replay."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from evolution_makers import NAME, Sitting, begin, sit, small_config

from model_discovery.design_tree import DesignTree, DuplicateDesign, NewDesign
from model_discovery.designers import Prediction
from model_discovery.errors import UserError
from model_discovery.evolution import StopFlag, add_design, controller, decide_design, load_state, policy
from model_discovery.evolution.simulator import InlineEngine, simulated_tree
from model_discovery.evolution.state import CampaignState

CONFIG = small_config()


def by_hand(name: str, *parents: str, gene: int = 7) -> NewDesign:
    tree = simulated_tree((gene, *([gene] * 7)))
    return NewDesign(
        name, "external", "mutation", "valid", {"title": name, "summary": "made by hand"}, tree.to_json(),
        tree.structure_hash, parents=tuple((parent, "") for parent in parents),
    )  # fmt: skip


def sit_until(tree: DesignTree, folder: Path, results: int, *, drain: bool, seed: int = 0) -> Sitting:
    """A sitting that is told to stop after so many results."""
    stop, seen = StopFlag(), []

    def count(event: Any) -> None:
        seen.extend([event] if event.kind in ("verified", "designed", "fruitless") else [])
        if len(seen) == results:
            (stop.drain if drain else stop.stop)("enough for now")

    return sit(tree, folder, InlineEngine(2, seed=seed), watch=count, stop=stop)


def test_what_a_person_claimed_and_predicted_is_kept(tmp_path: Path) -> None:
    new = by_hand("mine", "human_1")
    claim = {"title": "Mine", "prediction": {"direction": "lower", "amount": 0.01}}
    with DesignTree(tmp_path / "tree.db") as tree:
        begin(tree, CONFIG)
        row = tree.campaign(NAME)
        add_design(tree, row, replace(new, proposal=claim))
        state = load_state(tree, row.id, CONFIG)
    mine = state.designs[state.index["mine"]]
    assert mine.title == "Mine" and mine.prediction == Prediction(amount=0.01)


def test_an_outside_designer_is_asked_for_what_the_campaign_would_ask_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every decision for a design, `decide_design` finds the same one."""
    compared = []

    def decide_twice(state: CampaignState, selector: Any, number: int) -> Any:
        decision = policy.decide(state, selector, number)
        if decision is not None and isinstance(decision.step, policy.DesignStep):
            asked = decide_design(state, selector, number, decision.step.designer)
            compared.append((asked.step, decision.step))
        return decision

    monkeypatch.setattr(controller, "decide", decide_twice)
    with DesignTree(tmp_path / "tree.db") as tree:
        begin(tree, CONFIG)
        sit(tree, tmp_path, InlineEngine(2))
    assert len(compared) > 3 and len({step.operator for step, _ in compared}) > 1
    assert all(asked == decided for asked, decided in compared)


def signature(state: CampaignState) -> list[Any]:
    return [(d.name, d.origin, d.parents, d.status, len(d.runs), d.children) for d in state.designs]


@pytest.mark.parametrize("drain", [True, False])
@pytest.mark.parametrize("results", [1, 5, 8])
def test_it_is_run_and_a_resume_of_the_resume_goes_the_same_way(
    results: int, drain: bool, tmp_path: Path
) -> None:
    (tmp_path / "once").mkdir()
    with DesignTree(tmp_path / "once" / "tree.db") as tree:
        begin(tree, CONFIG)
        assert sit_until(tree, tmp_path / "once", results, drain=drain).ending.state == "stopped"
        row = tree.campaign(NAME)
        newest = tree.designs(row.id)[-1].name
        with tree.campaign_lock(NAME):
            add_design(tree, row, by_hand("mine", newest))
            add_design(tree, row, by_hand("ours", "mine", "human_1", gene=11))
    shutil.copytree(tmp_path / "once", tmp_path / "often")
    with DesignTree(tmp_path / "once" / "tree.db") as tree:
        once = sit(tree, tmp_path / "once", InlineEngine(3))
        runs = {run.design_id for run in tree.verifications(row.id)}
        ours = {d.name: d.id for d in tree.designs(row.id) if d.origin == "external"}
        assert set(ours) == {"mine", "ours"} and set(ours.values()) <= runs
        assert signature(load_state(tree, row.id, CONFIG)) == signature(once.state)
    with DesignTree(tmp_path / "often" / "tree.db") as tree:
        for sitting in range(100):
            again = sit_until(tree, tmp_path / "often", 2, drain=bool(sitting % 2) is drain, seed=sitting)
            if again.ending.state == "finished":
                break
    assert sitting > 2
    assert again.ending.lineage_hash == once.ending.lineage_hash
    assert signature(again.state) == signature(once.state)


def test_before_the_first_result_and_after_the_last(tmp_path: Path) -> None:
    with DesignTree(tmp_path / "tree.db") as tree:
        row = begin(tree, CONFIG)
        add_design(tree, row, by_hand("early"))
        done = sit(tree, tmp_path)
        assert done.state.designs[done.state.index["early"]].status in ("verified", "untrainable")
        assert [d.name for d in done.state.designs][4] == "early"
        add_design(tree, row, by_hand("late", "early", gene=3))
        again = sit(tree, tmp_path)
        assert again.state.index["late"] == len(again.state.designs) - 1
        assert again.ending.lineage_hash != done.ending.lineage_hash


def test_what_it_may_not_be(tmp_path: Path) -> None:
    with DesignTree(tmp_path / "tree.db") as tree:
        row = begin(tree, CONFIG)
        add_design(tree, row, by_hand("mine"))
        with pytest.raises(DuplicateDesign, match="'mine' has the same structure"):
            add_design(tree, row, by_hand("again"))
        with pytest.raises(UserError, match="Unknown design 'human_9'"):
            add_design(tree, row, by_hand("other", "human_9", gene=9))
        assert [event.kind for event in tree.events(row.id)] == ["added"]
