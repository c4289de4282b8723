"""Trees to test on: SQLite, and PostgreSQL when `MODEL_DISCOVERY_TEST_POSTGRESQL` has a server's URL."""

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tree_makers import DECISION, make_campaign, seed_design

from model_discovery.design_tree import CampaignRow, DesignTree

SERVER = os.environ.get("MODEL_DISCOVERY_TEST_POSTGRESQL", "")
_numbers = itertools.count()


@pytest.fixture(params=["sqlite", *(["postgresql"] if SERVER else [])])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The location of a database that does not exist yet."""
    if request.param == "sqlite":
        yield str(tmp_path / "tree.db")
        return
    from sqlalchemy import create_engine, text

    schema = f"test_{os.getpid()}_{next(_numbers)}"
    server = create_engine(SERVER)
    with server.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    yield f"{SERVER}?options=-csearch_path%3D{schema}"
    with server.begin() as connection:
        connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
    server.dispose()


@pytest.fixture
def tree(location: str) -> Iterator[DesignTree]:
    with DesignTree(location) as tree:
        yield tree


@pytest.fixture
def campaign(tree: DesignTree) -> CampaignRow:
    return make_campaign(tree)


@pytest.fixture
def make_job(tree: DesignTree, campaign: CampaignRow) -> Callable[..., int]:
    """Submits a job and brings it to a state; its id."""

    def make(state: str = "queued", kind: Any = "design") -> int:
        job = tree.submit_job(campaign.id, kind, {"seed": 1}, DECISION)
        if state != "queued":
            tree.start_job(job.id, "worker 1")
        if state in ("done", "applied"):
            tree.finish_job(job.id, state="done", result={"ok": True}, error="", seconds=0.5)
        if state == "applied":
            tree.apply_job(job.id)
        return job.id

    return make


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A tree with one campaign, closed."""
    path = tmp_path / "tree.db"
    with DesignTree(path) as tree:
        campaign = make_campaign(tree)
        tree.add_design(campaign.id, seed_design())
        tree.submit_job(campaign.id, "design", {}, DECISION)
    return path
