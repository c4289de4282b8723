"""What torchrun told, who is to blame, which way to the others; and, slowly, whole runs under torchrun."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from torch._C._distributed_c10d import TCPStore

from model_discovery.errors import UserError
from model_discovery.sandbox import Limits, Outcome, Sandbox
from model_discovery.verification import distributed
from model_discovery.verification.distributed import (
    DistributedRunner,
    Ended,
    Invitation,
    Launch,
    Meeting,
    explaining_the_end,
    launched,
)
from model_discovery.verification.orders import TrainOrder
from model_discovery.verification.outcome import VerificationFailure
from model_discovery.verification.recipes import get_recipe

TOLD = {
    "RANK": "3",
    "WORLD_SIZE": "4",
    "LOCAL_RANK": "1",
    "GROUP_WORLD_SIZE": "2",
    "MASTER_ADDR": "127.0.0.1",
    "MASTER_PORT": "29500",
    "TORCHELASTIC_RUN_ID": "run",
    "TORCHELASTIC_RESTART_COUNT": "0",
    "TORCHELASTIC_USE_AGENT_STORE": "True",
}


def test_without_torchrun_a_process_trains_alone() -> None:
    assert launched({}) is None
    assert launched({"WORLD_SIZE": "8"}) is None  # some clusters set it for every job
    assert launched(TOLD | {"WORLD_SIZE": "1", "RANK": "0"}) is None


def test_what_torchrun_tells() -> None:
    assert launched(TOLD) == Launch(3, 4, 1, 2, "127.0.0.1", 29500, "run/0", hosted=True)


def test_what_is_missing_is_named() -> None:
    with pytest.raises(UserError, match="MASTER_PORT"):
        launched({name: value for name, value in TOLD.items() if name != "MASTER_PORT"})


LOST = Ended.of(Outcome("error", error="LostProcess: Connection closed by peer"))
KILLED = Ended.of(Outcome("signal", error="ended by SIGKILL"))
RAISED = Ended.of(Outcome("error", error="ValueError: no"))
GREW = Ended.of(Outcome("memory", error="used more than 5 MB of memory"))


def cause(tmp_path: Path, endings: dict[int, Ended]) -> Exception:
    class Told:
        launch = launched(TOLD | {"RANK": "0", "WORLD_SIZE": "2"})

    runner = DistributedRunner(cast(Sandbox, None), tmp_path, cast(Meeting, Told()), "auto")
    return runner._cause(endings)


@pytest.mark.parametrize(("endings"), [{0: LOST, 1: KILLED}, {0: KILLED, 1: LOST}, {0: LOST}])
def test_a_process_that_was_killed_or_lost_is_no_result(endings: dict[int, Ended], tmp_path: Path) -> None:
    found = cause(tmp_path, endings)
    assert isinstance(found, UserError)
    rank = 0 if endings[0] is KILLED else 1
    assert f"rank {rank} of 2" in found.message
    assert "the same command goes on" in found.hint


def test_a_design_that_fails_in_one_process_has_failed(tmp_path: Path) -> None:
    for ended, status in ((RAISED, "failed"), (GREW, "memory")):
        found = cause(tmp_path, {0: LOST, 1: ended})
        assert isinstance(found, VerificationFailure)
        assert found.status == status
        assert found.error.startswith(("rank 1: ", "error: rank 1: "))


def test_interfaces_towards_this_machine() -> None:
    assert distributed._interface_towards("127.0.0.1", 1) == "lo"
    assert distributed._interface_towards("127.0.1.1", 2) is None  # true for one of the two machines only


def test_design_code_is_not_connected_to_torchruns_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who can write there forges invitations, and makes torchrun unpickle what it likes."""
    told: list[Invitation] = []

    class Told:
        launch = launched(TOLD | {"RANK": "0", "WORLD_SIZE": "2"})
        number = 0

        def say(self, what: str, text: str) -> None:
            told.append(Invitation.model_validate_json(text))

        def hear(self, what: str, patience: object) -> str:
            return ""

    class Called(Exception):
        pass

    class Asked:
        level = "plain"

        def __enter__(self) -> "Asked":
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def call(self, entry: str, request: dict[str, Any], **_: object) -> Outcome:
            group = request["group"]
            store = TCPStore(group["address"], group["port"], is_master=False, timeout=timedelta(seconds=5))
            store.set("reached", "yes")
            assert group["port"] != 29500
            raise Called

    monkeypatch.setattr(distributed, "_connecting_sandbox", lambda *_: Asked())
    runner = DistributedRunner(cast(Sandbox, None), tmp_path, cast(Meeting, Told()), "auto")
    order = TrainOrder(
        tree={}, scale="0.1M", recipe=get_recipe("grammar"), data="data", seed=0, identity="x", probe_tokens=1
    )
    with pytest.raises(Called):
        runner.train(order, Limits(wall_seconds=1, file_mb=9000), lambda _: None)
    assert told[0].host == "127.0.0.1"
    assert told[0].port != 29500
    # A disk without room for what its training may write is the machine's fault, as with one process.
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=8000 << 20))
    assert isinstance(runner._failure(Outcome("disk", error="No space left on device")), UserError)


def test_the_first_process_is_reached_where_it_is() -> None:
    told = launched(TOLD)
    assert told is not None
    assert distributed._host_of_first(told) == "127.0.0.1"
    assert distributed._host_of_first(replace(told, host="localhost")) == "localhost"  # the others' own


def test_ctrl_c_says_how_to_go_on() -> None:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGALRM, signal.SIGTERM)}
    try:
        with pytest.raises(UserError, match="Stopped") as raised, explaining_the_end():
            raise KeyboardInterrupt
        assert raised.value.exit_code == 130
        assert "checkpoint" in raised.value.hint
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


# -- whole runs

TORCHRUN = [sys.executable, "-m", "torch.distributed.run"]
WORKER = Path(__file__).with_name("verify_together.py")


def environment(folder: Path) -> dict[str, str]:
    return os.environ | {
        "DATA_DIR": str(folder.parent / "data"),
        "CKPT_DIR": str(folder),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(WORKER.parents[2]),
    }


def start(folder: Path, options: list[str], tokens: int = 30_000) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*TORCHRUN, *options, str(WORKER), str(tokens)],
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(folder: Path, options: list[str], tokens: int = 30_000) -> tuple[int, str, str]:
    process = start(folder, options, tokens)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def report(folder: Path) -> dict[str, Any]:
    (file,) = folder.glob("verify/*/report.json")
    return cast("dict[str, Any]", json.loads(file.read_text()))


TWO = ["--standalone", "--nproc-per-node", "2"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The report of a run of two processes that nobody disturbed."""
    folder = tmp_path_factory.mktemp("whole") / "two"
    code, out, err = run(folder, TWO)
    assert code == 0, err
    assert out.count("ok") == 1, out  # one process speaks
    return report(folder)


@pytest.mark.slow
def test_two_processes_verify_a_design(whole: dict[str, Any], tmp_path: Path) -> None:
    assert whole["status"] == "ok"
    assert whole["evidence"]["notes"] == ["trained by 2 processes on 1 node"]
    assert whole["evidence"]["sandbox"].startswith("distributed: ")
    alone = subprocess.run(
        [sys.executable, str(WORKER), "30000"],
        env=environment(tmp_path / "one"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "ok" in alone.stdout
    one = report(tmp_path / "one")
    for mine, theirs in zip(whole["curve"][:10], one["curve"][:10], strict=True):
        assert mine == pytest.approx(theirs, rel=1e-6)
    assert whole["held_out"]["value"] == pytest.approx(one["held_out"]["value"], rel=1e-2)


@pytest.mark.slow
def test_two_nodes_verify_a_design(whole: dict[str, Any], tmp_path: Path) -> None:
    options = ["--nnodes", "2", "--nproc-per-node", "1", "--rdzv-backend", "c10d", "--rdzv-id", "two"]
    options += ["--rdzv-endpoint", f"localhost:{25_000 + os.getpid() % 5_000}"]
    nodes = [start(tmp_path / "two", options) for _ in range(2)]
    said = [node.communicate(timeout=300) for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0], said
    found = report(tmp_path / "two")
    assert found["evidence"]["notes"] == ["trained by 2 processes on 2 nodes"]
    assert found["evidence"]["weights_hash"] == whole["evidence"]["weights_hash"]


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["a process of torchrun's", "a training process"])
def test_a_process_killed_in_training_ends_all_and_training_goes_on(
    victim: str, whole: dict[str, Any], tmp_path: Path
) -> None:
    folder = tmp_path / "two"
    process = start(folder, TWO)
    kill_one(process.pid, folder, victim)
    began = time.monotonic()
    out, err = process.communicate(timeout=60)
    assert process.returncode != 0
    assert time.monotonic() - began < 20
    assert "rank 1 of 2 was" in out + err
    assert not descendants(process.pid)
    code, _, err = run(folder, TWO)
    assert code == 0, err
    found = report(folder)
    assert found["evidence"]["resumed_at"]
    assert found["evidence"]["weights_hash"] == whole["evidence"]["weights_hash"]


def kill_one(torchrun: int, folder: Path, victim: str) -> None:
    """SIGKILL to the process of rank 1, or to the one that trains for it, once there is a checkpoint."""
    end = time.monotonic() + 120
    while not list(folder.glob("verify/*/run/train/checkpoint.safetensors")):
        assert time.monotonic() < end, "no checkpoint came"
        time.sleep(0.05)
    (rank_1,) = (pid for pid in children(torchrun) if b"RANK=1\0" in of(pid, "environ"))
    trainer = [pid for pid in descendants(rank_1) if not children(pid)][-1]
    os.kill(rank_1 if victim.endswith("torchrun's") else trainer, signal.SIGKILL)


def of(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task")
    return [int(child) for task in tasks.glob("*") for child in of(pid, f"task/{task.name}/children").split()]


def descendants(pid: int) -> list[int]:
    return [found for child in children(pid) for found in (child, *descendants(child))]
