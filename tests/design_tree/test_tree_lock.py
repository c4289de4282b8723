"""One process a campaign."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tree_makers import make_campaign

from model_discovery.design_tree import DesignTree
from model_discovery.errors import UserError

HOLDER = """
import sys, time
from model_discovery.design_tree import DesignTree
tree = DesignTree(sys.argv[1])
with tree.campaign_lock("first"):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "tree.db"
    with DesignTree(path) as tree:
        make_campaign(tree)
    return path


def test_second_holder_is_told_who_has_it_and_a_kill_frees_it(path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    with DesignTree(path) as tree:
        with pytest.raises(UserError) as error, tree.campaign_lock("first"):
            pass
        assert f"in use by process {holder.pid} on " in error.value.message
        assert f"{path}.first.lock" in error.value.message and "Ctrl-C" in error.value.hint
        with tree.campaign_lock("second"):  # another campaign of the same file is free
            pass
        os.kill(holder.pid, signal.SIGKILL)
        holder.communicate()
        with tree.campaign_lock("first"):
            pass


def test_within_one_process(path: Path) -> None:
    with DesignTree(path) as first, DesignTree(path) as second:
        with (
            first.campaign_lock("first"),
            pytest.raises(UserError, match="in use"),
            second.campaign_lock("first"),
        ):
            pass
        with second.campaign_lock("first"):
            pass


def test_error_inside_frees_it(path: Path) -> None:
    with DesignTree(path) as tree:
        with pytest.raises(KeyboardInterrupt), tree.campaign_lock("first"):
            raise KeyboardInterrupt
        with tree.campaign_lock("first"):
            pass


def test_lock_that_cannot_be_made(path: Path) -> None:
    path.with_name("tree.db.first.lock").mkdir()
    with DesignTree(path) as tree:
        lock = tree.campaign_lock("first")
        with pytest.raises(UserError, match="Cannot make the lock file"), lock:
            pass


def test_in_memory_needs_none() -> None:
    with DesignTree("sqlite://") as tree, tree.campaign_lock("x"):
        pass
