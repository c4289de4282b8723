"""An interruption at any moment, also while a checkpoint is written or the disk fills, changes nothing."""

import contextlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_training import Interrupted, SmallModel, plan, run, state
from torch import nn

from model_discovery.blocks import LanguageModel, get_seed_design
from model_discovery.verification import checkpoints, trainer
from model_discovery.verification.checkpoints import CURRENT, PREVIOUS, CheckpointStore

STEPS = 12
MOMENTS = (
    "before the step",
    "half written",
    "written, not put in place",
    "the old one moved",
    "put in place",
)


class DyingDisk:
    """Dies at one moment of the ``count``-th checkpoint."""

    def __init__(self, moment: str, count: int) -> None:
        self.moment, self.left = moment, count

    def fsync(self, descriptor: int) -> None:
        self.left -= 1
        if self.left == 0 and self.moment == "half written":
            os.truncate(descriptor, os.fstat(descriptor).st_size // 2)
            raise Interrupted
        if self.left == 0 and self.moment == "written, not put in place":
            raise Interrupted

    def replace(self, path: Path, target: Path) -> Path:
        os.rename(path, target)  # noqa: PTH104 (the method is what is replaced)
        if self.left == 0 and self.moment == {CURRENT: MOMENTS[4], PREVIOUS: MOMENTS[3]}[target.name]:
            raise Interrupted
        return target


def interrupt(folder: Path, moment: str, step: int, micro_rows: int) -> None:
    """A sitting that ends at this moment of its step, or of the checkpoint after it; or at its end."""
    disk = DyingDisk(moment, step + 1)
    with pytest.MonkeyPatch.context() as patch, contextlib.suppress(Interrupted):
        patch.setattr(checkpoints.os, "fsync", disk.fsync)
        patch.setattr(Path, "replace", lambda path, target: disk.replace(path, target))
        stop = step if moment == MOMENTS[0] else None
        run(folder, plan(STEPS, micro_rows=micro_rows), stop_at=stop)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[int, tuple[nn.Module, trainer.TrainResult]]:
    return {
        rows: run(tmp_path_factory.mktemp("whole"), plan(STEPS, micro_rows=rows, checkpoint_seconds=1000))
        for rows in (1, 3, 4)
    }


@settings(max_examples=12, deadline=None)
@given(
    micro_rows=st.sampled_from([1, 3, 4]),
    ends=st.lists(st.tuples(st.sampled_from(MOMENTS), st.integers(0, STEPS)), min_size=1, max_size=3),
)
def test_any_moment_of_any_step(
    micro_rows: int, ends: list[tuple[str, int]], undisturbed, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Dropout, a counting buffer, accumulated portions: bit-equal in the end, whatever happened before."""
    folder = tmp_path_factory.mktemp("interrupted")
    for moment, step in ends:
        interrupt(folder, moment, step, micro_rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoints.os, "fsync", lambda _: None)
        model, result = run(folder, plan(STEPS, micro_rows=micro_rows))
    expected, uninterrupted = undisturbed[micro_rows]
    for (name, tensor), other in zip(state(model).items(), state(expected).values(), strict=True):
        assert torch.equal(tensor, other), name
    assert result.record.curve == uninterrupted.record.curve
    assert result.record.held_out_curve == uninterrupted.record.held_out_curve
    assert not result.record.notes  # nothing half-written was even looked at


def test_the_moments_differ(tmp_path: Path) -> None:
    """What the test above relies on: each leaves other files behind."""
    left = {}
    for number, moment in enumerate(MOMENTS):
        interrupt(tmp_path / str(number), moment, 4, 4)
        left[moment] = sorted(file.name for file in (tmp_path / str(number)).iterdir())
    part = f"{CURRENT}.part"
    assert left == {
        MOMENTS[0]: [PREVIOUS, CURRENT],
        MOMENTS[1]: [PREVIOUS, CURRENT, part],
        MOMENTS[2]: [PREVIOUS, CURRENT, part],
        MOMENTS[3]: [PREVIOUS, part],
        MOMENTS[4]: [PREVIOUS, CURRENT],
    }


SCRIPT = """
import json, sys, time
sys.path[:0] = {path}
from pathlib import Path
from small_training import plan, run, state
import small_training
if {slow}:
    batch_at = small_training.batch_at
    small_training.batch_at = lambda step: (time.sleep(0.01), batch_at(step))[1]
folder = Path(sys.argv[1])
model, result = run(folder, plan({steps}))
from safetensors.torch import save
from model_discovery.verification.weights import hash_tensors
tensors = {{name: tensor.clone() for name, tensor in state(model).items()}}
print(json.dumps([hash_tensors(save(tensors)), result.status, result.record.notes]))
"""


def script(steps: int, slow: bool = False) -> str:
    return SCRIPT.format(path=[str(Path(__file__).parent)], steps=steps, slow=slow)


@pytest.mark.slow
def test_kill_9_at_random_moments(tmp_path: Path) -> None:
    """Real processes, really killed."""
    code, draw = script(60, slow=True), random.Random(0)
    command = [sys.executable, "-c", code]
    expected = subprocess.run([*command, str(tmp_path / "calm")], capture_output=True, check=True).stdout
    killed = 0
    for _ in range(8):
        process = subprocess.Popen([*command, str(tmp_path / "killed")], stdout=subprocess.DEVNULL)
        while not any((tmp_path / "killed").glob("*")) and process.poll() is None:
            time.sleep(0.005)
        time.sleep(draw.uniform(0, 3.0))
        process.kill()
        killed += process.wait() == -signal.SIGKILL
    found = subprocess.run([*command, str(tmp_path / "killed")], capture_output=True, check=True).stdout
    assert killed >= 3
    assert json.loads(found) == json.loads(expected) and json.loads(found)[1] == "ok"


@contextlib.contextmanager
def disk_of(size: int) -> Iterator[None]:
    """The kernel refuses to write files beyond this size, in the middle of them, as a full disk does."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path: Path) -> None:
    interrupt(tmp_path, MOMENTS[0], 5, 4)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(OSError, match="File too large"), disk_of(len(before[CURRENT]) // 2):
        run(tmp_path, plan(STEPS))
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    resumed, calm = run(tmp_path, plan(STEPS)), run(tmp_path / "calm", plan(STEPS))
    assert resumed[1].record.resumed_at == [5] and not resumed[1].record.notes
    assert all(map(torch.equal, state(resumed[0]).values(), state(calm[0]).values()))


def test_a_disk_that_fills_while_the_model_is_saved(tmp_path: Path) -> None:
    """An error of the disk, by which the sandbox knows it; and no model that could be loaded."""
    model = LanguageModel(get_seed_design("min_gru").tree, vocab_size=99, width=16, n_blocks=2)
    with pytest.raises(OSError, match="File too large"), disk_of(8192):
        model.save(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["model.safetensors.part"]


def test_a_checkpoint_holds_the_random_numbers_of_both_devices(tmp_path: Path, monkeypatch) -> None:
    """Without a GPU its state is a stand-in; what matters is that it comes back as it went."""
    there = torch.arange(16, dtype=torch.uint8)
    monkeypatch.setattr(checkpoints, "random_states", lambda _: (torch.get_rng_state(), there))
    model = SmallModel()
    CheckpointStore(tmp_path, "x").write(model, trainer.make_optimizer(model, plan()), {"step": 0})
    snapshot = CheckpointStore(tmp_path, "x").read(pytest.fail)
    assert (
        snapshot is not None and snapshot.card_random is not None and torch.equal(snapshot.card_random, there)
    )
