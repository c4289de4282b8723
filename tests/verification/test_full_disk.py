"""A disk that runs full is nobody's result, and nothing half-written is kept as whole."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from model_discovery.verification.folder import _write_whole

DRIVER = Path(__file__).with_name("full_disk_driver.py")
TRIAL = ["unshare", "--user", "--map-root-user", "--mount"]


@pytest.mark.slow
def test_a_full_disk_is_said_and_the_run_goes_on_when_there_is_room(tmp_path: Path) -> None:
    (tmp_path / "disk_trial").mkdir()
    trial = [*TRIAL, "mount", "-t", "tmpfs", "none", str(tmp_path / "disk_trial")]
    if shutil.which("unshare") is None or subprocess.run(trial, capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a small disk")
    done = subprocess.run(
        [*TRIAL, sys.executable, str(DRIVER), str(tmp_path)], capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr
    locked, training, reporting, room = json.loads(done.stdout)
    assert "Read-only file system" in locked["said"] and locked["files"] == []
    assert "disk is full" in training["said"] and "No space left" in reporting["said"]
    for stopped in (training, reporting):
        assert not {"report.json", "request.json"} & set(stopped["files"])
    assert not any(file.startswith(("model/", "run/train/model/")) for file in training["files"])
    assert room["said"] == "ok"
    assert room["files"] == [
        "curve.csv",
        "model/model.json",
        "model/model.safetensors",
        "model/tokenizer.json",
        "report.json",
        "request.json",
    ]


def test_a_report_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("the one before")
    (tmp_path / "report.json.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        _write_whole(tmp_path / "report.json", "x" * 10_000)
    assert (tmp_path / "report.json").read_text() == "the one before"
