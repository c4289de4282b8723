"""The loop on real worker processes: the same lineage as in process, through kills and Ctrl-C."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from evolution_makers import small_config, whole_campaign

DRIVER = Path(__file__).with_name("worker_driver.py")


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(DRIVER), str(folder)],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def read_until(process: subprocess.Popen[str], results: int) -> list[str]:
    """Lines of a sitting, until so many results were applied or it ended."""
    assert process.stdout is not None
    lines: list[str] = []
    while len(lines) < results and (line := process.stdout.readline()):
        lines.append(line.strip())
    return lines


def last_line(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout is not None
    lines = process.stdout.read().splitlines()
    assert process.wait(60) == 0
    return lines[-1].split()


@pytest.mark.slow
def test_controller_killed_and_interrupted_on_real_workers(tmp_path: Path) -> None:
    expected = whole_campaign(tmp_path / "inline", small_config()).ending.lineage_hash
    folder = tmp_path / "workers"
    folder.mkdir()
    for results in (1, 4):
        process = start(folder)
        assert len(read_until(process, results)) == results
        process.kill()
        process.wait(60)
    process = start(folder)
    read_until(process, 2)
    process.send_signal(signal.SIGINT)
    assert last_line(process)[:2] == ["stopped", "0"]
    assert last_line(start(folder)) == ["finished", "0", expected]
