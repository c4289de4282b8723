"""Runs simulated campaigns whose process is killed again and again; run by `test_campaign_crash`.

    python crash_driver.py FOLDER SEED...

The first campaign is left in peace, then comes one for each seed.

Everything is imported once; each sitting is a forked child that is killed with SIGKILL, until one comes to
the end: by itself before or after one of its next commits, or by its parent after a random while. Prints
what the trees say as JSON.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

from evolution_makers import NAME, begin, sit, small_config
from sqlalchemy import Connection, event

from model_discovery.design_tree import DesignTree
from model_discovery.errors import UserError
from model_discovery.evolution.campaigns import resume_campaign
from model_discovery.evolution.simulator import InlineEngine, simulated_seeds

LAST_COMMIT = 8  # of about 70 in a campaign


def die_at_commit(tree: DesignTree, number: int, before: bool) -> None:
    """Kill this process just before or just after the tree's change ``number``."""
    commits = 0

    def committing(connection: Connection) -> None:
        nonlocal commits
        commits += not connection.get_execution_options().get("design_tree_read_only", False)
        if before and commits == number:
            os.kill(os.getpid(), signal.SIGKILL)

    def given_back(*_: object) -> None:  # the connection returns to the pool: it has committed
        if commits == number:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(tree.engine, "commit", committing)
    event.listen(tree.engine, "checkin", given_back)


def child(folder: Path, rng: random.Random, kill: bool) -> None:
    """One sitting."""
    with DesignTree(folder / "tree.db") as tree:
        if kill:
            die_at_commit(tree, rng.randint(1, LAST_COMMIT), before=rng.random() < 0.5)
        try:
            resume_campaign(tree, NAME, simulated_seeds(4))
        except UserError:  # it died before there was a campaign
            begin(tree, small_config())
        sit(tree, folder, InlineEngine(rng.randint(1, 4), seed=rng.randint(0, 99)))


def sitting(folder: Path, rng: random.Random, longest: float | None) -> bool:
    """Fork a sitting and kill it within ``longest`` seconds, if any; whether it was killed."""
    plan = random.Random(rng.random())
    process = os.fork()
    if process == 0:
        child(folder, plan, kill=longest is not None)
        os._exit(0)
    end = time.monotonic() + (rng.random() * longest if longest is not None else 60)
    ended, status = os.waitpid(process, os.WNOHANG)
    while not ended and time.monotonic() < end:
        time.sleep(0.002)
        ended, status = os.waitpid(process, os.WNOHANG)
    if not ended:
        os.kill(process, signal.SIGKILL)
        _, status = os.waitpid(process, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit(f"a sitting failed with {os.WEXITSTATUS(status)}")
    return os.WIFSIGNALED(status)


def campaign(folder: Path, seed: int, longest: float | None) -> dict[str, Any]:
    """Kill a campaign until it comes to its end nevertheless, and say what came of it."""
    folder.mkdir()
    rng = random.Random(seed)
    killed = 0
    while sitting(folder, rng, longest):
        killed += 1
    sitting(folder, rng, None)
    with DesignTree(folder / "tree.db") as tree:
        row = tree.campaign(NAME)
        events = tree.events(row.id)
        return {
            "killed": killed,
            "state": row.state,
            "lineage_hash": tree.lineage_hash(row.id),
            "designs": [(d.name, d.status) for d in tree.designs(row.id)],
            "runs": [(run.design_id, run.scale, run.seed, run.losses) for run in tree.verifications(row.id)],
            "jobs": [(job.number, job.kind, job.state) for job in tree.jobs(row.id)],
            "told": [e.data["job"] for e in events if e.kind in ("verified", "designed", "fruitless")],
        }


def main() -> None:
    """All campaigns; the first says how long one takes on this machine now."""
    folder, seeds = Path(sys.argv[1]), [int(seed) for seed in sys.argv[2:]]
    begun = time.monotonic()
    answers = [campaign(folder / "whole", 0, None)]
    longest = time.monotonic() - begun
    answers += [campaign(folder / f"killed-{seed}", seed, longest) for seed in seeds]
    heavy = sorted({"torch", "lm_eval", "transformers"} & set(sys.modules))
    print(json.dumps({"campaigns": answers, "heavy": heavy}))


if __name__ == "__main__":
    main()
