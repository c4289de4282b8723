"""What every database behind a `DesignTree` has to do."""

import dataclasses
import threading
import time
from collections.abc import Callable

import pytest
from tree_makers import DECISION, child, make_campaign, seed_design

from model_discovery.design_tree import (
    AlreadyApplied,
    Applied,
    CampaignRow,
    DesignTree,
    DuplicateDesign,
    DuplicateVerification,
    InvalidTransition,
    NewVerification,
    Parent,
    UnknownRow,
)
from model_discovery.errors import UserError

MakeJob = Callable[..., int]


# -- campaigns


def test_campaign_comes_back_as_it_was_made(tree: DesignTree) -> None:
    made = make_campaign(tree)
    assert tree.campaign("first") == made
    assert tree.campaigns() == [made]
    assert (made.state, made.seed, made.config, made.versions) == ("running", 7, {"in_flight": 4}, {"a": "1"})
    assert abs(made.created - time.time()) < 60


def test_largest_seed(tree: DesignTree) -> None:
    made = tree.create_campaign("x", instruction="i", config={}, seed=2**63 - 1, versions={})
    assert tree.campaign("x").seed == made.seed == 2**63 - 1
    with pytest.raises(UserError, match="out of range"):
        tree.create_campaign("y", instruction="i", config={}, seed=2**63, versions={})


def test_campaign_names(tree: DesignTree, campaign: CampaignRow) -> None:
    with pytest.raises(UserError, match="There is a campaign 'first'"):
        make_campaign(tree)
    with pytest.raises(UserError, match="Did you mean 'first'"):
        tree.campaign("frist")
    for name in ("", "a/b", "..", "a b", "x" * 81):
        with pytest.raises(UserError, match="cannot name"):
            make_campaign(tree, name)


def test_campaign_states(tree: DesignTree, campaign: CampaignRow) -> None:
    for state in ("stopped", "running", "finished", "failed"):
        tree.set_campaign_state(campaign.id, state)  # type: ignore[arg-type]
        assert tree.campaign("first").state == state
    with pytest.raises(ValueError, match="no campaign state"):
        tree.set_campaign_state(campaign.id, "paused")  # type: ignore[arg-type]
    with pytest.raises(UnknownRow):
        tree.set_campaign_state(campaign.id + 1, "running")


def test_events_are_read_on_from_where_one_was(tree: DesignTree, campaign: CampaignRow) -> None:
    other = make_campaign(tree, "second")
    made = [tree.record_event(campaign.id, "note", {"n": n}) for n in range(3)]
    tree.record_event(other.id, "note", {})
    assert tree.events(campaign.id) == made
    assert tree.events(campaign.id, after=made[1].id) == made[2:]


# -- designs


def test_design_comes_back_light_and_whole(tree: DesignTree, campaign: CampaignRow) -> None:
    seed = tree.add_design(campaign.id, seed_design())
    both = tree.add_design(campaign.id, child("gated", ("retnet", "mixer"), ("retnet", "")))
    assert tree.designs(campaign.id) == [seed, both]
    assert tree.design(campaign.id, "gated") == both
    assert both.parents == (Parent("retnet", "mixer"), Parent("retnet", ""))
    assert tree.designs(campaign.id, after=seed.id) == [both]
    assert tree.unit_tree(both.id) == {"root": "gated"}
    assert tree.proposal(both.id) == {"title": "gated"}
    with pytest.raises(UnknownRow, match="no proposal"):
        tree.proposal(seed.id)
    with pytest.raises(UnknownRow):
        tree.unit_tree(both.id + 1)


def test_rows_cannot_be_changed(tree: DesignTree, campaign: CampaignRow) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        tree.add_design(campaign.id, seed_design()).status = "verified"  # type: ignore[misc]


def test_duplicates_name_the_design_that_is_there(tree: DesignTree, campaign: CampaignRow) -> None:
    tree.add_design(campaign.id, seed_design())
    with pytest.raises(DuplicateDesign, match="'retnet' has the same structure") as same_structure:
        tree.add_design(campaign.id, child("other", structure_hash="hash of retnet"))
    assert same_structure.value.existing == "retnet"
    with pytest.raises(DuplicateDesign, match="same name"):
        tree.add_design(campaign.id, child("retnet", structure_hash="new"))
    assert len(tree.designs(campaign.id)) == 1
    # Another campaign may have both; designs without a tree have no structure to share.
    other = make_campaign(tree, "second")
    tree.add_design(other.id, seed_design())
    for name in ("a", "b"):
        tree.add_design(campaign.id, child(name, status="abandoned", unit_tree=None, structure_hash=None))


def test_parents_are_of_the_same_campaign(tree: DesignTree, campaign: CampaignRow) -> None:
    tree.add_design(make_campaign(tree, "second").id, seed_design("retnet"))
    tree.add_design(campaign.id, seed_design("hawk"))
    with pytest.raises(UserError, match="Unknown design 'retnet'"):
        tree.add_design(campaign.id, child("x", ("retnet", "")))
    with pytest.raises(UserError, match="Did you mean 'hawk'"):
        tree.design(campaign.id, "hawks")


def test_statuses_are_earned(tree: DesignTree, campaign: CampaignRow) -> None:
    row = tree.add_design(campaign.id, child("x", status="proposed"))
    for status in ("implementing", "valid", "verified"):
        tree.set_design_status(row.id, status)  # type: ignore[arg-type]
        tree.set_design_status(row.id, status)  # type: ignore[arg-type]
    assert tree.design(campaign.id, "x").status == "verified"
    with pytest.raises(InvalidTransition, match="'x' cannot go from verified to valid"):
        tree.set_design_status(row.id, "valid")
    with pytest.raises(InvalidTransition, match="cannot enter"):
        tree.add_design(campaign.id, child("y", status="verified"))
    with pytest.raises(UnknownRow):
        tree.set_design_status(row.id + 1, "valid")


@pytest.mark.parametrize("field", ["sizes", "proposal", "unit_tree"])
def test_nan_is_refused_by_name(tree: DesignTree, campaign: CampaignRow, field: str) -> None:
    with pytest.raises(ValueError, match=r"a\.1 is nan"):
        tree.add_design(campaign.id, child("x", **{field: {"a": [1, float("nan")]}}))
    assert tree.designs(campaign.id) == []


def test_strange_text_is_kept(tree: DesignTree, campaign: CampaignRow, make_job: MakeJob) -> None:
    job = make_job("running")
    tree.finish_job(
        job, state="failed", result={"text": "\ud800 é \0"}, error="half \ud800, nul \0", seconds=1.0
    )
    assert tree.job(job).error == "half ?, nul \ufffd"
    assert tree.job(job).result == {"text": "\ud800 é \0"}


# -- jobs


def test_job_and_decision_are_one(tree: DesignTree, campaign: CampaignRow) -> None:
    made = [tree.submit_job(campaign.id, "design", {"n": n}, DECISION) for n in range(3)]
    elsewhere = tree.submit_job(make_campaign(tree, "second").id, "verify", {}, DECISION)
    assert [job.number for job in made] == [0, 1, 2] and elsewhere.number == 0
    assert tree.jobs(campaign.id) == made
    decisions = tree.decisions(campaign.id)
    assert [(row.id, row.number) for row in decisions] == [(job.decision_id, job.number) for job in made]
    first = decisions[0]
    assert (first.kind, first.chosen, first.candidates) == (
        DECISION.kind,
        DECISION.chosen,
        DECISION.candidates,
    )
    assert (first.scores, first.reason) == (DECISION.scores, DECISION.reason)


def test_bad_payload_leaves_no_decision_behind(tree: DesignTree, campaign: CampaignRow) -> None:
    with pytest.raises(ValueError, match="x is inf"):
        tree.submit_job(campaign.id, "design", {"x": float("inf")}, DECISION)
    assert tree.decisions(campaign.id) == [] and tree.jobs(campaign.id) == []


def test_life_of_a_job(tree: DesignTree, campaign: CampaignRow) -> None:
    job = tree.submit_job(campaign.id, "verify", {"scale": "0.1M"}, DECISION)
    assert (job.state, job.attempts, job.result, job.started) == ("queued", 0, None, None)
    tree.start_job(job.id, "worker 1")
    assert tree.job(job.id).state == "running" and tree.job(job.id).worker == "worker 1"
    tree.finish_job(job.id, state="done", result={"loss": 3.0}, error="", seconds=1.5)
    done = tree.job(job.id)
    assert (done.state, done.result, done.seconds, done.attempts) == ("done", {"loss": 3.0}, 1.5, 1)
    assert done.request == {"scale": "0.1M"} and done.finished is not None
    assert tree.apply_job(job.id) == Applied(None, None)
    assert tree.job_counts(campaign.id) == {"applied": 1}
    with pytest.raises(AlreadyApplied):
        tree.apply_job(job.id)
    with pytest.raises(InvalidTransition):
        tree.finish_job(job.id, state="done", result={}, error="", seconds=0)


def test_jobs_by_state(tree: DesignTree, campaign: CampaignRow, make_job: MakeJob) -> None:
    ids = {state: make_job(state) for state in ("queued", "running", "done", "applied")}
    for state, job_id in ids.items():
        assert [job.id for job in tree.jobs(campaign.id, [state])] == [job_id]  # type: ignore[list-item]
    assert len(tree.jobs(campaign.id, ("queued", "done"))) == 2
    assert tree.jobs(campaign.id, ()) == []
    with pytest.raises(UnknownRow):
        tree.job(max(ids.values()) + 1)


def test_job_that_loses_two_workers_is_set_aside(tree: DesignTree, make_job: MakeJob) -> None:
    job_id = make_job("running")
    first = tree.lose_job(job_id, "killed by SIGKILL")
    assert (first.state, first.losses, first.error) == ("queued", 1, "killed by SIGKILL")
    tree.start_job(job_id, "worker 2")
    second = tree.lose_job(job_id, "killed by SIGSEGV")
    assert (second.state, second.losses, second.attempts) == ("set_aside", 2, 2)
    assert second.error.splitlines() == ["killed by SIGKILL", "killed by SIGSEGV"]
    with pytest.raises(InvalidTransition):
        tree.lose_job(job_id, "again")
    tree.apply_job(job_id, event=("set_aside", {"job": job_id}))
    assert tree.job(job_id).state == "applied"


def test_killed_controller_starts_its_jobs_again(tree: DesignTree, make_job: MakeJob) -> None:
    job_id = make_job("running")
    tree.start_job(job_id, "another worker")
    again = tree.job(job_id)
    assert (again.state, again.attempts, again.losses, again.worker) == ("running", 2, 0, "another worker")


def test_result_becomes_design_and_evidence(
    tree: DesignTree, campaign: CampaignRow, make_job: MakeJob
) -> None:
    tree.add_design(campaign.id, seed_design())
    made = tree.apply_job(
        make_job("done"), design=child("gated", ("retnet", "mixer")), event=("designed", {})
    )
    assert made.design_id is not None
    job_id = make_job("done", kind="verify")
    new = NewVerification(
        made.design_id, "0.1M", "recipe", 3, "ok", {"held_out": 3.1}, {"pairs": 0.7}, [[1, 6.2]], {"s": 1.0}
    )
    applied = tree.apply_job(
        job_id, verification=new, status=(made.design_id, "verified"), event=("ran", {"n": 1})
    )
    (row,) = tree.verifications(campaign.id)
    assert (row.id, row.design_id, row.job_id) == (applied.verification_id, made.design_id, job_id)
    assert (row.losses, row.scores, row.cost, row.error) == (
        {"held_out": 3.1},
        {"pairs": 0.7},
        {"s": 1.0},
        "",
    )
    assert tree.curve(row.id) == [[1, 6.2]]
    assert tree.verifications(campaign.id, after=row.id) == []
    assert tree.design(campaign.id, "gated").status == "verified"
    assert [event.kind for event in tree.events(campaign.id)] == ["designed", "ran"]
    with pytest.raises(UnknownRow):
        tree.curve(row.id + 1)


def test_application_is_all_or_nothing(tree: DesignTree, campaign: CampaignRow, make_job: MakeJob) -> None:
    seed = tree.add_design(campaign.id, seed_design())
    job_id = make_job("done")
    run = NewVerification(seed.id, "0.1M", "recipe", 0, "ok")
    attempts = (
        {"design": child("retnet")},
        {"design": child("x", ("nobody", ""))},
        {"design": child("x"), "verification": dataclasses.replace(run, design_id=seed.id + 99)},
        {"design": child("x"), "verification": run, "status": (seed.id, "proposed")},
        {"design": child("x"), "verification": run, "event": ("bad", {"loss": float("nan")})},
    )
    for arguments in attempts:
        with pytest.raises((UserError, RuntimeError, ValueError)):
            tree.apply_job(job_id, **arguments)  # type: ignore[arg-type]
        assert tree.designs(campaign.id) == [seed]
        assert tree.verifications(campaign.id) == [] and tree.events(campaign.id) == []
        assert tree.job(job_id).state == "done"
    tree.apply_job(job_id, design=child("x"), verification=run)


def test_a_run_counts_once(tree: DesignTree, campaign: CampaignRow, make_job: MakeJob) -> None:
    seed = tree.add_design(campaign.id, seed_design())
    run = NewVerification(seed.id, "0.1M", "recipe", 0, "ok")
    tree.apply_job(make_job("done"), verification=run)
    job_id = make_job("done")
    with pytest.raises(DuplicateVerification, match="'retnet' has a verification at"):
        tree.apply_job(job_id, verification=run)
    tree.apply_job(job_id, verification=dataclasses.replace(run, seed=1))
    assert len(tree.verifications(campaign.id)) == 2


def test_unfinished_job_is_not_applied(tree: DesignTree, make_job: MakeJob) -> None:
    for state in ("queued", "running"):
        with pytest.raises(InvalidTransition, match=f"from {state} to applied"):
            tree.apply_job(make_job(state))
    with pytest.raises(UnknownRow):
        tree.apply_job(99)


# -- lasting, and reading meanwhile


def test_it_lasts(location: str) -> None:
    with DesignTree(location) as tree:
        campaign = make_campaign(tree)
        tree.add_design(campaign.id, seed_design())
        tree.add_design(campaign.id, child("x", ("retnet", "mixer")))
        tree.submit_job(campaign.id, "design", {}, DECISION)
        before = tree.designs(campaign.id), tree.jobs(campaign.id), tree.lineage_hash(campaign.id)
    with DesignTree(location, create=False) as tree:
        assert tree.campaign("first") == campaign
        assert (tree.designs(campaign.id), tree.jobs(campaign.id), tree.lineage_hash(campaign.id)) == before


def test_readers_beside_the_writer_see_whole_steps(
    location: str, tree: DesignTree, campaign: CampaignRow
) -> None:
    """A second connection never sees a design without its event."""
    tree.add_design(campaign.id, seed_design())
    stop, seen = threading.Event(), []

    def watch() -> None:
        with DesignTree(location, create=False) as reader:
            while not stop.is_set():
                events = len(reader.events(campaign.id))
                seen.append((events, len(reader.designs(campaign.id)) - 1))

    watcher = threading.Thread(target=watch)
    watcher.start()
    for number in range(60):
        job = tree.submit_job(campaign.id, "design", {}, DECISION)
        tree.finish_job(job.id, state="done", result={}, error="", seconds=0.0)
        tree.apply_job(job.id, design=child(f"d{number}", ("retnet", "")), event=("designed", {}))
    stop.set()
    watcher.join()
    assert seen and all(events <= designs for events, designs in seen)


def test_threads_may_share_a_tree(tree: DesignTree, campaign: CampaignRow) -> None:
    def work(name: int) -> None:
        for number in range(10):
            tree.add_design(campaign.id, child(f"d{name}_{number}"))

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tree.designs(campaign.id)) == 40
