"""A campaign killed at any moment ends like one that was not."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

DRIVER = Path(__file__).with_name("crash_driver.py")


def killed_campaigns(folder: Path, seeds: range) -> int:
    """Drive campaigns, compare each killed one with the first, which was not; how often they were killed in
    all.
    """
    done = subprocess.run(
        [sys.executable, str(DRIVER), str(folder), *map(str, seeds)],
        capture_output=True, text=True, timeout=280, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    whole, *killed = answer["campaigns"]
    assert answer["heavy"] == [] and whole["state"] == "finished" and whole["killed"] == 0
    for ended in killed:
        assert {**ended, "killed": 0} == whole
        assert len(ended["told"]) == len(set(ended["told"])) == len(ended["jobs"]), (
            "every result is counted once"
        )
    return sum(ended["killed"] for ended in killed)


def test_killed_ten_times_and_never_noticed(tmp_path: Path) -> None:
    assert killed_campaigns(tmp_path, range(1)) >= 10


@pytest.mark.slow
def test_killed_by_the_hundred(tmp_path: Path) -> None:
    assert killed_campaigns(tmp_path, range(10, 22)) >= 300
