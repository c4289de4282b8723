"""Campaigns whose designer argues: what it is told, what it may spend, what becomes of its ideas."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from evolution_makers import NAME, Sitting, begin, sit, small_config, whole_campaign

from model_discovery.config import CampaignConfig
from model_discovery.design_tree import DesignTree, JobRow
from model_discovery.designers import DesignRequest, Proposal
from model_discovery.evolution import StopFlag, by_designer, load_state, simulator
from model_discovery.evolution.controller import WorkFunctions
from model_discovery.evolution.knowledge import BASELINES, BEST, FAILED, IDEAS, SIBLINGS, STATISTICS
from model_discovery.evolution.sessions import Session, Sessions
from model_discovery.evolution.simulator import InlineEngine

MIXED = small_config(
    designers={"agentic": 0.7, "genetic": 0.3}, budget={"designs": 24, "runs": {"0.1M": 40, "0.4M": 12}}
)
ALONE = MIXED.model_copy(update={"designers": {"agentic": 1.0}})


def functions(name: str) -> WorkFunctions:
    return WorkFunctions(design=f"llm_work:{name}", verify=simulator.FUNCTIONS.verify)


def design_jobs(tree: DesignTree) -> list[JobRow]:
    return [job for job in tree.jobs(tree.campaign(NAME).id) if job.kind == "design"]


def run(folder: Path, config: CampaignConfig, name: str, **options: Any) -> Sitting:
    return whole_campaign(folder, config, functions=functions(name), **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mixed")


@pytest.fixture(scope="module")
def mixed(folder: Path) -> Sitting:
    """An uninterrupted campaign of two designers."""
    return run(folder, MIXED, "run_design")


def test_both_designers_get_their_share(mixed: Sitting) -> None:
    tallies = mixed.state.sessions.tallies
    asked = {name: tally.sessions for name, tally in tallies.items()}
    assert abs(asked["agentic"] - 0.7 * sum(asked.values())) <= 2 and asked["genetic"] > 2
    assert Counter(design.origin for design in mixed.state.designs)["agentic"] == tallies["agentic"].designs
    agentic, genetic = tallies["agentic"].spending, tallies["genetic"].spending
    assert agentic.calls == 7 * asked["agentic"] and genetic.calls == 0
    assert agentic.dollars == 0.25 * asked["agentic"] and genetic.dollars is None


def test_only_the_designer_that_reads_is_told(mixed: Sitting, folder: Path) -> None:
    with DesignTree(folder / "tree.db") as tree:
        jobs = design_jobs(tree)
    for job in jobs:
        if job.request["designer"] == "genetic":
            assert (
                DesignRequest.model_validate(job.request).knowledge
                == DesignRequest(operator="scratch").knowledge
            )
    last = [DesignRequest.model_validate(job.request) for job in jobs if job.request["designer"] == "agentic"]
    told = last[-1].knowledge
    assert last[-1].agents == MIXED.agents
    assert {design.relation for design in told.designs} >= {"parent", "best"}
    assert len({design.name for design in told.designs}) == len(told.designs)
    parents = [design for design in told.designs if design.relation == "parent"]
    assert tuple(design.name for design in parents) == tuple(one.name for one in last[-1].parents)
    measured = [result for design in told.designs for result in design.results]
    assert all(result.stderr > 0 and result.seeds for result in measured)
    assert any(result.over_parent for result in measured) and any(result.gain for result in measured)
    assert {idea.verdict for idea in told.ideas} >= {"right", "wrong"}
    idea = told.ideas[0]
    assert (
        idea.claim == "less loss" and idea.prediction == "loss lower than its parent by at least 0.002 nats"
    )
    assert "±" in idea.evidence and "seed" in idea.evidence
    assert told.unit_statistics[0].designs >= 2 and told.unit_statistics[0].scale == "0.1M"
    assert any(failed.reason == "not novel" for failed in told.failed)


def test_what_is_told_is_bounded(tmp_path: Path) -> None:
    config = small_config(
        designers={"agentic": 1.0}, budget={"designs": 50, "runs": {"0.1M": 70, "0.4M": 12}}
    )
    done = run(tmp_path, config, "run_design")
    assert len(done.state.designs) > 45
    with DesignTree(tmp_path / "tree.db") as tree:
        requests = [job.request for job in design_jobs(tree)]
    told = DesignRequest.model_validate(requests[-1]).knowledge
    relations = Counter(design.relation for design in told.designs)
    assert relations["sibling"] <= SIBLINGS and relations["best"] <= BEST
    assert relations["baseline"] <= BASELINES
    assert len(told.ideas) == IDEAS and len(told.failed) <= FAILED and len(told.unit_statistics) <= STATISTICS
    assert len(told.model_dump_json()) < 40_000


def test_killed_and_resumed_it_asks_the_same(mixed: Sitting, folder: Path, tmp_path: Path) -> None:
    with DesignTree(tmp_path / "tree.db") as tree:
        row = begin(tree, MIXED)
        for sitting in range(100):
            stop, results = StopFlag(), []

            def halt(event: Any, stop: StopFlag = stop, results: list[Any] = results) -> None:
                results.extend([event] if event.kind in ("verified", "designed", "fruitless") else [])
                if len(results) == 5:
                    stop.stop("killed") if sitting % 2 else stop.drain("enough")  # noqa: B023

            engine = InlineEngine(2, seed=sitting)
            done = sit(tree, tmp_path, engine, watch=halt, stop=stop, functions=functions("run_design"))
            if done.ending.state == "finished":
                break
        assert sitting > 5 and done.ending.lineage_hash == mixed.ending.lineage_hash
        again = [job.request for job in design_jobs(tree)]
        assert load_state(tree, row.id, MIXED).sessions.tallies == mixed.state.sessions.tallies
    with DesignTree(folder / "tree.db") as tree:
        assert [job.request for job in design_jobs(tree)] == again


def test_looking_later_shows_the_same_comparison(mixed: Sitting, folder: Path) -> None:
    with DesignTree(folder / "tree.db") as tree:
        state = load_state(tree, tree.campaign(NAME).id, MIXED)
    agentic, genetic = by_designer(state)
    assert (agentic, genetic) == by_designer(mixed.state)
    assert (agentic.designer, genetic.designer) == ("agentic", "genetic")
    for one in (agentic, genetic):
        assert one.valid is not None and one.valid_low is not None and one.valid_high is not None
        assert one.valid_low < one.valid <= one.valid_high and one.valid == one.designs / one.sessions
        assert one.best is not None and one.over_parent is not None and one.over_parent.stderr > 0
    assert agentic.right + agentic.wrong + agentic.open == agentic.designs
    assert (genetic.right, genetic.wrong, genetic.open) == (0, 0, 0)


# -- the limit of the campaign


@pytest.mark.parametrize("places", [1, 3])
def test_money_that_is_gone_leaves_the_rest_to_the_others(places: int, tmp_path: Path) -> None:
    done = run(tmp_path, MIXED, "run_until_money_is_gone", engine=InlineEngine(places, seed=places))
    state = done.state
    assert state.sessions.limit == "campaign dollars" and state.designers_left == {"genetic": 0.3}
    assert done.ending.state == "finished" and "LLM" not in done.ending.reason
    with DesignTree(tmp_path / "tree.db") as tree:
        jobs = design_jobs(tree)
        first = next(job.number for job in jobs if (job.result or {}).get("limit"))
        later = [job.request["designer"] for job in jobs if job.number >= first + MIXED.in_flight]
        assert set(later) == {"genetic"} and len(later) > 5
        again = load_state(tree, tree.campaign(NAME).id, MIXED)
    assert again.sessions.limit == state.sessions.limit and again.budgets.fruitless == state.budgets.fruitless
    fruitless = [event for event in done.of_kind("fruitless") if "limit" not in event["session"]]
    assert state.budgets.fruitless.used == len(fruitless), "a limit of the campaign is no failed attempt"


def test_money_that_is_gone_ends_designing_alone_and_what_is_there_is_verified(tmp_path: Path) -> None:
    done = run(tmp_path, ALONE, "run_until_money_is_gone")
    assert done.ending.state == "finished"
    assert done.ending.reason.startswith("LLM budget spent (campaign dollars): ")
    assert not done.state.waiting and 3 <= done.state.budgets.designs.used < 24
    assert done.state.evidence.count[:, 1].sum() > 0


def test_the_end_of_the_money_is_seen_alike_after_a_kill(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", MIXED, "run_until_money_is_gone")
    with DesignTree(tmp_path / "tree.db") as tree:
        begin(tree, MIXED)
        stop = StopFlag()

        def halt(event: Any) -> None:
            if event.kind == "fruitless" and "limit" in event.data["session"]:
                stop.stop("killed")

        first = sit(tree, tmp_path, watch=halt, stop=stop, functions=functions("run_until_money_is_gone"))
        assert first.ending.state == "stopped"
        last = sit(tree, tmp_path, functions=functions("run_until_money_is_gone"))
    assert last.ending.lineage_hash == whole.ending.lineage_hash


# -- proposals that were not implemented


def test_a_proposal_is_given_up_after_three_sessions(tmp_path: Path) -> None:
    done = run(tmp_path, ALONE.model_copy(update={"in_flight": 1}), "run_hopeless")
    assert done.ending.reason.startswith("fruitless: ")
    with DesignTree(tmp_path / "tree.db") as tree:
        requests = [DesignRequest.model_validate(job.request) for job in design_jobs(tree)]
        chosen = [d.chosen for d in tree.decisions(tree.campaign(NAME).id) if d.kind == "design"]
    assert len(requests) == 24
    for one, two, three in zip(requests[::3], requests[1::3], requests[2::3], strict=True):
        assert one.unfinished is None and two.unfinished == three.unfinished is not None
        assert two.unfinished.title == str(one.seed)
        assert one.operator == two.operator == three.operator
        assert one.parents == two.parents == three.parents
    assert ["unfinished" in choice for choice in chosen] == [False, True, True] * 8
    assert len(done.state.sessions.failed) == 8 and done.state.sessions.waiting() is None
    assert "3 sessions could not implement it" in requests[3].knowledge.failed[0].reason


def test_a_proposal_that_is_implemented_at_last_is_no_failure(mixed: Sitting, folder: Path) -> None:
    with DesignTree(folder / "tree.db") as tree:
        jobs = design_jobs(tree)
        rows = tree.designs(tree.campaign(NAME).id)
        titles = [tree.proposal(row.id)["title"] for row in rows if row.origin == "agentic"]
    taken_up = [job.request["unfinished"]["title"] for job in jobs if job.request["unfinished"]]
    assert set(taken_up) & set(titles), "at least one was implemented by a later session"
    assert not {idea.title for idea in mixed.state.sessions.failed} & set(titles)


def test_a_proposal_in_work_is_not_given_to_a_second_session(tmp_path: Path) -> None:
    done = run(tmp_path, ALONE.model_copy(update={"in_flight": 6}), "run_hopeless")
    with DesignTree(tmp_path / "tree.db") as tree:
        requests = [job.request for job in design_jobs(tree)]
    count = Counter(request["unfinished"]["title"] for request in requests if request["unfinished"])
    assert max(count.values()) == 2 and done.ending.reason.startswith("fruitless: ")


def test_an_idea_that_is_known_already_is_a_failed_one_and_not_tried_again(tmp_path: Path) -> None:
    done = run(tmp_path, ALONE, "run_repeating")
    failed = done.state.sessions.failed
    assert failed and all(idea.reason.startswith("the same structure as") for idea in failed)
    assert done.state.sessions.waiting() is None and done.state.budgets.designs.used == 1


def test_a_proposal_taken_up_again_that_turns_out_to_be_known_is_done_with() -> None:
    books = Sessions()
    proposal = Proposal(title="an idea", summary="", operator="mutation")
    failed = Session(designer="agentic", fruitful=False, proposal=proposal, reason="no unit passed")
    books.settle(failed, job=7, operator="mutation", parents=(0,), unfinished=None)
    held = books.waiting()
    assert held is not None and (held.job, held.failed) == (7, 1)
    books.take_up(7)
    assert books.waiting() is None
    crashed = Session(designer="agentic", fruitful=False, reason="two workers died")
    books.settle(crashed, job=9, operator="mutation", parents=(0,), unfinished=7)
    held = books.waiting()
    assert held is not None and (held.job, held.failed) == (7, 2), "a crash counts as a session"
    books.take_up(7)
    twin = Session(designer="agentic", fruitful=False, reason="the same structure as x", twin="x")
    books.settle(twin, job=11, operator="mutation", parents=(0,), unfinished=7)
    assert books.waiting() is None and books.failed == []


# -- nothing changed for campaigns without models


@pytest.mark.parametrize(("seed", "lineage"), [(0, "3e4f6050d262692c"), (1, "5e2b8832e3ca4f87")])
def test_the_lineage_of_genetic_campaigns_is_what_it_was(seed: int, lineage: str, tmp_path: Path) -> None:
    assert whole_campaign(tmp_path, small_config(seed=seed)).ending.lineage_hash == lineage


def test_campaigns_of_earlier_versions_are_read(tmp_path: Path) -> None:
    """Their events say nothing of sessions, titles and predictions."""
    from sqlalchemy import select, update

    from model_discovery.design_tree.tables import event

    done = whole_campaign(tmp_path, small_config())
    with DesignTree(tmp_path / "tree.db") as tree:
        with tree._write() as connection:
            for number, data in connection.execute(select(event.c.id, event.c.data)).all():
                kept = {k: v for k, v in data.items() if k not in ("session", "title", "prediction")}
                connection.execute(update(event).where(event.c.id == number).values(data=kept))
        state = load_state(tree, tree.campaign(NAME).id, small_config())
        assert sit(tree, tmp_path).ending.lineage_hash == done.ending.lineage_hash
    assert state.sessions.tallies["genetic"].designs == 6
    assert state.budgets.fruitless == done.state.budgets.fruitless
