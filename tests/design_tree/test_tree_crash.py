"""A process that writes is killed at random instants; the file has whole steps and nothing else."""

import os
import random
import signal
import sqlite3
import time
from pathlib import Path

import pytest
from tree_makers import DECISION, child, make_campaign, seed_design

from model_discovery.design_tree import DesignTree, JobRow, NewVerification

KINDS = ("submitted", "finished", "applied")


def write(path: Path, said: int) -> None:
    """Take up what an earlier writer left, then go on for ever; say what has been done when it has."""
    tree = DesignTree(path)
    if not tree.campaigns():
        make_campaign(tree)
    if not tree.designs(1):
        tree.add_design(1, seed_design())

    def say(kind: str, job: JobRow) -> None:
        os.write(said, f"{kind} {job.number}\n".encode())

    def go_on(job: JobRow) -> None:
        if job.state != "done":
            tree.start_job(job.id, "writer")
            tree.finish_job(job.id, state="done", result={"n": job.number}, error="", seconds=0)
            say("finished", job)
        design = child(f"d{job.number}", ("retnet", "mixer"), unit_tree={"x": "y" * 5000})
        root = tree.design(1, "retnet").id
        run = NewVerification(root, "0.1M", "recipe", job.number, "ok", curve=[[1, 2.0]] * 200)
        tree.apply_job(job.id, design=design, verification=run, event=("applied", {"job": job.number}))
        say("applied", job)

    for job in tree.jobs(1, ("queued", "running", "done")):
        go_on(job)
    while True:
        job = tree.submit_job(1, "design", {"x": "z" * 3000}, DECISION)
        say("submitted", job)
        go_on(job)


def run_and_kill(path: Path, seconds: float) -> dict[str, set[int]]:
    """What a writer said it had done before it was killed."""
    hears, says = os.pipe()
    writer = os.fork()
    if writer == 0:
        try:
            write(path, says)
        finally:
            os._exit(1)
    os.close(says)
    time.sleep(seconds)
    os.kill(writer, signal.SIGKILL)
    _, status = os.waitpid(writer, 0)
    assert os.WIFSIGNALED(status), "the writer ended by an error of its own"
    with os.fdopen(hears) as stream:
        lines = [line.split() for line in stream]
    return {kind: {int(number) for word, number in lines if word == kind} for kind in KINDS}


def check_whole(path: Path) -> tuple[set[int], set[int], set[int]]:
    """Submitted, finished and applied jobs, after checking that every step is there whole or not at all."""
    with DesignTree(path) as tree:
        if not tree.campaigns():
            return set(), set(), set()
        jobs = tree.jobs(1)
        applied = {job.number for job in jobs if job.state == "applied"}
        assert [job.number for job in jobs] == list(range(len(jobs)))
        assert [row.number for row in tree.decisions(1)] == [job.number for job in jobs]
        assert sorted(event.data["job"] for event in tree.events(1)) == sorted(applied)
        assert sorted(run.seed for run in tree.verifications(1)) == sorted(applied)
        children = tree.designs(1)[1:]
        assert sorted(row.name for row in children) == sorted(f"d{number}" for number in applied)
        assert all(row.parents and row.parents[0].path == "mixer" for row in children)
        finished = {job.number for job in jobs if job.result == {"n": job.number}}
        assert applied <= finished
        return {job.number for job in jobs}, finished, applied


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_random_instants(tmp_path: Path) -> None:
    path, dice = tmp_path / "tree.db", random.Random(0)
    DesignTree("sqlite://").close()  # all is loaded before the writers are forked
    told: dict[str, set[int]] = {kind: set() for kind in KINDS}
    kills = 0
    while kills < 15 or (len(told["applied"]) <= 10 and kills < 90):
        kills += 1
        patience = max(1.0, kills / 10)  # a busy machine needs longer to get anywhere
        for kind, numbers in run_and_kill(path, dice.uniform(0.0, 0.12) * patience).items():
            told[kind] |= numbers
        submitted, finished, applied = check_whole(path)
        # What a method returned from is there.
        assert told["submitted"] <= submitted and told["finished"] <= finished and told["applied"] <= applied
    assert len(told["applied"]) > 10
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
