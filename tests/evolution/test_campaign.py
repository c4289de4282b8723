"""Whole simulated campaigns on a real tree: one lineage a seed, whatever happens on the way."""

import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from evolution_makers import NAME, Sitting, begin, sit, small_config, state_with, whole_campaign

from model_discovery.design_tree import DesignTree
from model_discovery.engine import Job
from model_discovery.errors import UserError
from model_discovery.evolution import (
    StopFlag,
    check_campaign,
    describe_design,
    load_state,
    make_leaderboard,
    resume_campaign,
    simulator,
    stop_on_signals,
)
from model_discovery.evolution.campaigns import add_seed_designs
from model_discovery.evolution.controller import WorkFunctions
from model_discovery.evolution.requests import structures_to_avoid
from model_discovery.evolution.simulator import InlineEngine

CONFIG = small_config()


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Sitting:
    """An uninterrupted campaign."""
    return whole_campaign(tmp_path_factory.mktemp("reference"), CONFIG)


def same_state(one: Any, other: Any) -> None:
    assert one.designs == other.designs
    assert (one.evidence.mean == other.evidence.mean).all()
    assert (one.started == other.started).all() and (one.uses == other.uses).all()
    assert one.operators == other.operators and one.applied == other.applied


@pytest.mark.parametrize("places", [1, 2, 3, 7])
def test_any_number_of_workers_in_any_order_gives_one_lineage(
    places: int, reference: Sitting, tmp_path: Path
) -> None:
    done = whole_campaign(tmp_path, CONFIG, InlineEngine(places, seed=places))
    assert done.ending == reference.ending
    same_state(done.state, reference.state)


def test_another_seed_another_lineage(reference: Sitting, tmp_path: Path) -> None:
    assert whole_campaign(tmp_path, small_config(seed=1)).ending.lineage_hash != reference.ending.lineage_hash


def test_books_are_kept_in_the_tree(tmp_path: Path) -> None:
    with DesignTree(tmp_path / "tree.db") as tree:
        row = begin(tree, CONFIG)
        done = sit(tree, tmp_path)
        assert done.ending.state == tree.campaign(NAME).state == "finished"
        jobs, runs = tree.jobs(row.id), tree.verifications(row.id)
        assert {job.state for job in jobs} == {"applied"} and [job.number for job in jobs] == list(
            range(len(jobs))
        )
        assert (
            Counter(job.kind for job in jobs)["verify"]
            == len(runs)
            == sum(a.used for a in done.state.budgets.runs)
        )
        assert [d.name for d in tree.designs(row.id)] == [d.name for d in done.state.designs]
        assert {d.name: d.status for d in tree.designs(row.id)} == {
            d.name: d.status for d in done.state.designs
        }
        for decision in tree.decisions(row.id):
            assert decision.reason and len(decision.candidates) <= 20
        kinds = Counter(event.kind for event in tree.events(row.id))
        assert kinds["verified"] == len(runs) and kinds["started"] == kinds["finished"] == 1
        run = runs[0]
        assert run.losses["held_out"]["stderr"] > 0 and run.cost["tokens"] and run.cost["size"]["total"]
        assert run.scores["minimal-pairs"]["n"] and run.environment["recipe_hash"] == run.recipe_hash
        assert (tmp_path / NAME / "verify-0").is_dir()


def test_looking_at_a_campaign_later_shows_the_same(tmp_path: Path) -> None:
    with DesignTree(tmp_path / "tree.db") as tree:
        row = begin(tree, CONFIG)
        done = sit(tree, tmp_path)
    with DesignTree(tmp_path / "tree.db") as tree:
        state = load_state(tree, row.id, CONFIG)
        same_state(state, done.state)
        board = make_leaderboard(state)
        assert board == make_leaderboard(done.state) and board.best is not None
        words = str(describe_design(tree, state, board.best.design))
        assert words.startswith(f"{board.best.design}: ") and "Against" in words
        again = sit(tree, tmp_path)
        assert again.ending.lineage_hash == done.ending.lineage_hash and not again.of_kind("submitted")


def test_draining_and_going_on_changes_nothing(reference: Sitting, tmp_path: Path) -> None:
    """Stopped after every few results, five sittings and more; the drained results wait for their turn."""
    with DesignTree(tmp_path / "tree.db") as tree:
        begin(tree, CONFIG)
        for sitting in range(100):
            stop, results = StopFlag(), []

            def count(event: Any, stop: StopFlag = stop, results: list[Any] = results) -> None:
                results.extend([event] if event.kind in ("verified", "designed", "fruitless") else [])
                if len(results) == 2:
                    stop.drain("enough for now")

            done = sit(tree, tmp_path, InlineEngine(2, seed=sitting), watch=count, stop=stop)
            if done.ending.state == "finished":
                break
            assert done.ending.waiting == 0 and tree.campaign(NAME).state == "stopped"
        assert sitting > 5
        assert done.ending.lineage_hash == reference.ending.lineage_hash
        same_state(done.state, reference.state)


def test_stopping_at_once_leaves_work_for_the_next_sitting(reference: Sitting, tmp_path: Path) -> None:
    with DesignTree(tmp_path / "tree.db") as tree:
        row = begin(tree, CONFIG)
        stop = StopFlag()

        def halt(event: Any) -> None:
            if event.kind == "submitted" and event.data["job"] == 9:
                stop.stop("at once")

        first = sit(tree, tmp_path, watch=halt, stop=stop)
        assert first.ending.state == "stopped" and first.ending.waiting > 0
        assert {job.state for job in tree.jobs(row.id)} >= {"queued", "applied"}
        second = sit(tree, tmp_path)
        assert second.of_kind("resumed")[0]["unfinished"] == first.ending.waiting
        asked = {told["job"]: told for told in first.of_kind("submitted")}
        again = second.of_kind("taken_up")
        assert len(again) == first.ending.waiting
        for told in again:  # what a person reads of it is what was said when it was submitted
            named = {"design", "scale", "seed", "operator", "designer"} & told.keys()
            assert named and {asked[told["job"]][key] == told[key] for key in named} == {True}
        assert second.ending.lineage_hash == reference.ending.lineage_hash


def press(times: int, folder: Path) -> tuple[Sitting, StopFlag]:
    """A campaign in which Ctrl-C is pressed at the fifth submission, ``times`` times."""
    with DesignTree(folder / "tree.db") as tree, stop_on_signals(StopFlag()) as stop:
        begin(tree, CONFIG)

        def interrupt(event: Any) -> None:
            if event.kind == "submitted" and event.data["job"] == 4:
                for _ in range(times):
                    os.kill(os.getpid(), signal.SIGINT)

        return sit(tree, folder, watch=interrupt, stop=stop), stop


def test_ctrl_c_once_drains(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    done, stop = press(1, tmp_path)
    assert done.ending.state == "stopped" and done.ending.waiting == 0 and not stop.now
    assert done.state.applied == 5 and done.ending.reason == "stopped by Ctrl-C"
    assert done.of_kind("stopping") == [{"reason": "stopped by Ctrl-C", "in_flight": 2}]
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_twice_stops(tmp_path: Path) -> None:
    done, stop = press(2, tmp_path)
    assert done.ending.state == "stopped" and done.ending.waiting > 0 and stop.now


def test_wall_time_only_ever_stops(reference: Sitting, tmp_path: Path) -> None:
    config = small_config(budget={"wall_minutes": 1.0})
    ticks = iter(range(0, 100_000, 5))
    with DesignTree(tmp_path / "tree.db") as tree:
        begin(tree, config)
        done = sit(tree, tmp_path, clock=lambda: float(next(ticks)))
        assert done.ending.state == "stopped" and done.ending.reason == "1 minutes are over"
        assert done.ending.waiting == 0 and 0 < done.state.applied < reference.state.applied
        last = sit(tree, tmp_path, clock=lambda: 0.0)
        assert last.ending.lineage_hash == reference.ending.lineage_hash


# -- misfortune


def test_a_worker_that_dies_once_changes_nothing(reference: Sitting, tmp_path: Path) -> None:
    done = whole_campaign(tmp_path, CONFIG, InlineEngine(2, lose=lambda job, times: times == 0))
    assert done.ending.lineage_hash == reference.ending.lineage_hash
    assert len(done.of_kind("lost")) == done.state.applied


def test_a_job_that_kills_two_workers_is_set_aside(tmp_path: Path) -> None:
    def lose(job: Job, times: int) -> bool:
        return job.request.get("design") == "human_1" or job.request.get("operator") == "crossover"

    with DesignTree(tmp_path / "tree.db") as tree:
        row = begin(tree, CONFIG)
        done = sit(tree, tmp_path, InlineEngine(2, lose=lose))
        assert done.ending.state == "finished"
        assert tree.design(row.id, "human_1").status == "untrainable"
        run = next(run for run in tree.verifications(row.id) if run.error)
        assert run.status == "failed" and "took two workers with it" in run.error and run.losses == {}
        assert all(
            "set aside" in lost["why"]
            for lost in done.of_kind("fruitless")
            if lost["operator"] == "crossover"
        )
        assert any(lost["set_aside"] for lost in done.of_kind("lost"))
        assert done.state.budgets.designs.used == sum(not design.baseline for design in done.state.designs)


def broken(request: dict[str, Any], context: object) -> dict[str, Any]:
    raise RuntimeError("no such luck")


def infinite(request: dict[str, Any], context: object) -> dict[str, Any]:
    report = simulator.run_verify(request, context)
    return {**report, "cost": {"flops": float("inf")}}


def repeating(request: dict[str, Any], context: object) -> dict[str, Any]:
    return simulator.run_design({**request, "seed": 5}, context)


BREAKAGE = "MODEL_DISCOVERY_TEST_BREAKAGE"


def breakable(request: dict[str, Any], context: object) -> dict[str, Any]:
    """Work on a machine that is broken as long as the environment says so."""
    if os.environ.get(BREAKAGE) in request.get("design", request.get("operator", "")):
        raise UserError("The sandbox could not start.", hint="mend it")
    return (simulator.run_verify if "scale" in request else simulator.run_design)(request, context)


@pytest.mark.parametrize("where", ["human_2", "mutation"])
def test_a_fault_of_the_machine_is_no_result(
    where: str, reference: Sitting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    functions = WorkFunctions(design="test_campaign:breakable", verify="test_campaign:breakable")
    with DesignTree(tmp_path / "tree.db") as tree:
        row = begin(tree, CONFIG)
        monkeypatch.setenv(BREAKAGE, where)
        for _ in range(2):
            with pytest.raises(UserError, match=r"could not start\. .*--resume") as caught:
                sit(tree, tmp_path, functions=functions)
            assert caught.value.exit_code == 1 and tree.campaign(NAME).state == "stopped"
            assert {run.status for run in tree.verifications(row.id)} <= {"ok"}
            assert not [event for event in tree.events(row.id) if event.kind == "fruitless"]
        monkeypatch.setenv(BREAKAGE, "nothing")
        assert sit(tree, tmp_path, functions=functions).ending == reference.ending


def test_work_that_always_fails_ends_with_reasons(tmp_path: Path) -> None:
    functions = WorkFunctions(design="test_campaign:broken", verify="test_campaign:broken")
    done = whole_campaign(tmp_path, CONFIG, functions=functions)
    assert done.ending.state == "finished" and done.ending.reason.startswith("fruitless: 8 attempts")
    assert {event["why"] for event in done.of_kind("fruitless")} == {"RuntimeError: no such luck"}
    assert {event["error"] for event in done.of_kind("verified")} == {"RuntimeError: no such luck"}
    assert {design.status for design in done.state.designs} == {"untrainable"}


def test_a_result_that_is_no_number_is_a_failure_with_a_name(tmp_path: Path) -> None:
    functions = WorkFunctions(design="test_campaign:broken", verify="test_campaign:infinite")
    done = whole_campaign(tmp_path, CONFIG, functions=functions)
    assert all(
        "unusable result: not JSON: cost.flops is inf" in event["error"] for event in done.of_kind("verified")
    )


def test_the_same_structure_twice_is_no_second_design(tmp_path: Path) -> None:
    functions = WorkFunctions(design="test_campaign:repeating", verify=simulator.FUNCTIONS.verify)
    done = whole_campaign(tmp_path, CONFIG, functions=functions)
    hashes = [design.structure_hash for design in done.state.designs]
    assert len(set(hashes)) == len(hashes)
    assert any(event["why"].startswith("the same structure as") for event in done.of_kind("fruitless"))


def test_one_process_a_campaign(tmp_path: Path) -> None:
    with DesignTree(tmp_path / "tree.db") as tree:
        begin(tree, CONFIG)
        with tree.campaign_lock(NAME), pytest.raises(UserError, match="in use by process"):
            sit(tree, tmp_path)


def test_another_recipe_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import evolution_makers

    whole_campaign(tmp_path, CONFIG)
    recipe = evolution_makers.get_recipe("grammar", tokens={"0.1M": 123_000})
    monkeypatch.setattr(evolution_makers, "get_recipe", lambda name: recipe)
    with DesignTree(tmp_path / "tree.db") as tree, pytest.raises(UserError, match="recipe"):
        sit(tree, tmp_path)


def test_a_folder_that_cannot_be_written_stops_with_one_line(tmp_path: Path) -> None:
    with DesignTree(tmp_path / "tree.db") as tree:
        begin(tree, CONFIG)
        (tmp_path / NAME).write_text("in the way")
        with pytest.raises(UserError, match="Cannot make the folder"):
            sit(tree, tmp_path)
        assert tree.campaign(NAME).state == "stopped"
        (tmp_path / NAME).unlink()
        assert sit(tree, tmp_path).ending.state == "finished"


def test_a_kill_while_beginning_is_mended(tmp_path: Path, reference: Sitting) -> None:
    seeds = simulator.simulated_seeds(4)
    with DesignTree(tmp_path / "tree.db") as tree:
        values = CONFIG.model_dump(mode="json")
        row = tree.create_campaign(NAME, instruction="find", config=values, seed=0, versions={})
        add_seed_designs(tree, row.id, small_config(seed_designs=["human_0", "human_1"]), seeds)
        with pytest.raises(UserError, match="lacks its human designs human_2, human_3"):
            sit(tree, tmp_path)
        assert resume_campaign(tree, NAME, seeds).id == row.id
        assert sit(tree, tmp_path).ending.lineage_hash == reference.ending.lineage_hash


# -- bad input


@pytest.mark.parametrize(
    ("instruction", "changes", "message"),
    [
        ("  ", {}, "instruction is empty"),
        ("find", {"selector": "gready"}, "Did you mean 'greedy'"),
        ("find", {"designers": {"genetik": 1.0}}, "Did you mean 'genetic'"),
        ("find", {"designers": {"genetic": 0.0}}, "No designer has a share"),
        ("find", {"seed_designs": ["human_33"]}, "Did you mean 'human_3'"),
        ("find", {"ladder": {"seeds": {"0.5M": 2}}}, "Unknown scale '0.5M'"),
        ("find", {"budget": {"runs": {"0.1N": 9}}}, "Did you mean '0.1M'"),
        ("find", {"budget": {"runs": {"0.4M": 9, "0.1M": 9}}}, "budget.runs names the scales"),
        ("find", {"budget": {"runs": {"0.1M": 4}}}, "no run would be left"),
    ],
)
def test_bad_campaigns_are_refused(instruction: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_campaign(instruction, small_config(**changes), simulator.simulated_seeds(4))


def test_a_budget_without_a_scale_keeps_its_preset_usable() -> None:
    check_campaign("find", small_config(budget={"runs": {"0.1M": 9}}), simulator.simulated_seeds(4))


def test_requests_name_few_structures_to_avoid() -> None:
    config = small_config(budget={"designs": 900, "runs": {"0.1M": 999}}, ladder={"seeds": {}})
    state = state_with(config, {f"d{n}": [[3.0]] for n in range(500)}, human=4)
    state.designs[0].children.extend(range(4, 404))
    avoided = structures_to_avoid(state, (0, 1))
    assert {"hash_d0", "hash_d1", "hash_d403", "hash_d499"} <= set(avoided)
    assert len(avoided) == len(set(avoided)) <= 202
