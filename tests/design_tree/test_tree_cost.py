"""A step costs the same in a large tree as in a small one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, insert
from tree_makers import DECISION, child, make_campaign, seed_design

from model_discovery.design_tree import DesignTree, NewVerification
from model_discovery.design_tree.tables import decision, design, job, verification


def step(tree: DesignTree, number: int) -> None:
    """One design and one verification, as a campaign records them."""
    made = tree.submit_job(1, "design", {"parents": ["retnet"]}, DECISION)
    tree.start_job(made.id, "worker")
    tree.finish_job(made.id, state="done", result={"x": "y" * 3000}, error="", seconds=1.0)
    new = child(f"d{number}", ("retnet", "mixer"), unit_tree={"source": "x" * 3000})
    design_id = tree.apply_job(made.id, design=new, event=("designed", {})).design_id
    assert design_id is not None
    made = tree.submit_job(1, "verify", {"design": "d"}, DECISION)
    tree.start_job(made.id, "worker")
    tree.finish_job(made.id, state="done", result={"x": "y" * 3000}, error="", seconds=1.0)
    run = NewVerification(design_id, "0.1M", "recipe", 0, "ok", {"held_out": 3.0}, curve=[[1, 2.0]] * 100)
    tree.apply_job(made.id, verification=run, status=(design_id, "verified"), event=("ran", {}))


@pytest.fixture
def tree(tmp_path: Path) -> DesignTree:
    tree = DesignTree(tmp_path / "tree.db")
    make_campaign(tree)
    tree.add_design(1, seed_design())
    return tree


def fill(tree: DesignTree, count: int) -> None:
    """Rows as if so many designs had been made and verified, without the detour of the methods."""
    jobs = range(10_000, 10_000 + 2 * count)
    names = [f"old{number}" for number in range(count)]
    common: dict[str, Any] = {"campaign_id": 1, "created": 0.0}
    with tree.engine.begin() as connection:
        connection.execute(
            insert(design),
            [
                common | {"name": name, "origin": "genetic", "operator": None, "status": "valid"}
                | {"structure_hash": name, "sizes": {}, "proposal": {}, "unit_tree": {"x": "y" * 500}}
                for name in names
            ],
        )  # fmt: skip
        connection.execute(
            insert(decision),
            [
                common | {"id": n, "number": n, "kind": "design", "reason": "", "chosen": {}}
                | {"candidates": [], "scores": {}}
                for n in jobs
            ],
        )  # fmt: skip
        connection.execute(
            insert(job),
            [
                common | {"decision_id": n, "number": n, "kind": "design", "state": "applied", "attempts": 1}
                | {"losses": 0, "worker": "", "error": "", "seconds": 1.0, "request": {}, "result": {}}
                for n in jobs
            ],
        )  # fmt: skip
        connection.execute(
            insert(verification),
            [
                common | {"design_id": n, "scale": "0.1M", "recipe_hash": "r", "seed": 0, "status": "ok"}
                | {"error": "", "losses": {}, "scores": {}, "cost": {}, "environment": {}, "artefacts": {}}
                | {"curve": []}
                for n in range(2, 2 + count)
            ],
        )  # fmt: skip


def statements(tree: DesignTree, work: Callable[[], None]) -> list[tuple[str, Any]]:
    """What the database was asked during some work."""
    seen: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, _x: Any, many: bool) -> None:
        seen.append((statement, parameters[0] if many else parameters))

    event.listen(tree.engine, "before_cursor_execute", note)
    work()
    event.remove(tree.engine, "before_cursor_execute", note)
    return seen


def test_no_statement_of_a_step_scans_a_table(tree: DesignTree) -> None:
    """SQLite's own plan for each of them: always by a key or an index."""
    fill(tree, 100)
    seen = statements(tree, lambda: step(tree, 0))
    seen += statements(tree, lambda: tree.design(1, "d0") and None)
    seen += statements(tree, lambda: tree.events(1, after=1) and None)
    seen += statements(tree, lambda: tree.designs(1, after=50) and None)
    seen += statements(tree, lambda: tree.verifications(1, after=50) and None)
    seen += statements(tree, lambda: tree.jobs(1, ["queued", "done"]) and None)
    asked = 0
    with tree.engine.connect() as connection:
        for statement, parameters in seen:
            if statement.startswith(("BEGIN", "PRAGMA")):
                continue
            plan = connection.exec_driver_sql("EXPLAIN QUERY PLAN " + statement, parameters)
            for row in plan:
                assert not row[-1].startswith("SCAN") or "CONSTANT ROW" in row[-1], (statement, row[-1])
                asked += 1
    assert asked > 15


def work_of(tree: DesignTree, number: int) -> int:
    """SQLite's own count of what it does in a step, in tens of instructions: no clock, so no busy machine."""
    tens = 0

    def count() -> int:
        nonlocal tens
        tens += 1
        return 0

    def watch(connection: Any, _record: Any, _proxy: Any) -> None:
        connection.set_progress_handler(count, 10)

    def leave(connection: Any, _record: Any) -> None:
        connection.set_progress_handler(None, 0)

    event.listen(tree.engine, "checkout", watch)
    event.listen(tree.engine, "checkin", leave)
    step(tree, number)
    event.remove(tree.engine, "checkout", watch)
    event.remove(tree.engine, "checkin", leave)
    return tens


def test_a_step_costs_the_same_in_a_large_tree(tree: DesignTree) -> None:
    work_of(tree, 0)
    small = work_of(tree, 1)
    fill(tree, 5000)
    large = work_of(tree, 2)
    assert small > 50 and large < 1.1 * small
