"""The loop: exact resume, damaged checkpoints, guards, schedule, and equality with a loop written plainly."""

import math
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_training import Interrupted, Output, SmallModel, batch_at, plan, run, state
from torch import Tensor, nn

from model_discovery.verification import trainer
from model_discovery.verification.checkpoints import CURRENT, PREVIOUS
from model_discovery.verification.group import ALONE
from model_discovery.verification.report import Rung
from model_discovery.verification.trainer import CURVE_POINTS, make_optimizer


def assert_same(one: nn.Module, other: nn.Module) -> None:
    for (name, a), b in zip(state(one).items(), state(other).values(), strict=True):
        assert torch.equal(a, b), name


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[nn.Module, trainer.TrainResult]:
    return run(tmp_path_factory.mktemp("whole"), plan())


def interrupt(folder: Path, *steps: int) -> None:
    for step in steps:
        with pytest.raises(Interrupted):
            run(folder, plan(), stop_at=step)


@pytest.mark.parametrize("seed", range(6))
def test_interrupted_anywhere_ends_bit_equal(seed: int, tmp_path: Path, whole) -> None:
    steps = sorted(random.Random(seed).sample(range(24), 1 + seed % 3))
    interrupt(tmp_path, *steps)
    model, result = run(tmp_path, plan())
    assert_same(model, whole[0])
    assert result.status == "ok"
    assert result.record.curve == whole[1].record.curve
    assert result.record.held_out_curve == whole[1].record.held_out_curve
    assert result.record.resumed_at == [step for step in steps if step > 0]
    assert not result.record.notes


def test_seldom_checkpoints_resume_bit_equal(tmp_path: Path, whole) -> None:
    """A checkpoint lies several steps back: those steps are done again."""
    interrupt(tmp_path, 9)
    with pytest.raises(Interrupted):
        run(tmp_path, plan(checkpoint_seconds=1000), stop_at=17)
    model, result = run(tmp_path, plan(checkpoint_seconds=1000))
    assert_same(model, whole[0])
    assert result.record.curve == whole[1].record.curve
    assert result.record.resumed_at == [9]  # the second sitting left no checkpoint


def test_finished_run_is_not_trained_again(tmp_path: Path, whole) -> None:
    run(tmp_path, plan())
    model, result = run(tmp_path, plan(), stop_at=0)
    assert_same(model, whole[0])
    assert result.record.resumed_at == []


def test_death_between_the_renames(tmp_path: Path, whole) -> None:
    interrupt(tmp_path, 12)
    (tmp_path / CURRENT).replace(tmp_path / PREVIOUS)
    (tmp_path / f"{CURRENT}.part").write_bytes(b"half of a checkp")
    model, result = run(tmp_path, plan())
    assert_same(model, whole[0])
    assert result.record.resumed_at == [12]


def _flip(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize(
    "damage", [_flip, lambda c: c[: len(c) // 3], lambda c: b"", lambda c: b"\xff" * len(c), lambda c: c[:-1]]
)
def test_damaged_checkpoint_falls_back(damage: Callable[[bytes], bytes], tmp_path: Path, whole) -> None:
    interrupt(tmp_path, 15)
    file = tmp_path / CURRENT
    file.write_bytes(damage(file.read_bytes()))
    model, result = run(tmp_path, plan())
    assert_same(model, whole[0])
    assert result.record.resumed_at == [14]
    (note,) = result.record.notes
    assert CURRENT in note and "went on from step 14" in note


def test_both_checkpoints_damaged_begins_anew(tmp_path: Path, whole) -> None:
    interrupt(tmp_path, 15)
    for name in (CURRENT, PREVIOUS):
        (tmp_path / name).write_bytes(_flip((tmp_path / name).read_bytes()))
    model, result = run(tmp_path, plan())
    assert_same(model, whole[0])
    assert result.record.resumed_at == []
    assert len(result.record.notes) == 2 and all("began anew" in note for note in result.record.notes)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("stored")
    interrupt(folder, 3)
    return (folder / CURRENT).read_bytes()


@given(data=st.data())
def test_no_flipped_bit_goes_unnoticed(data: st.DataObject, stored: bytes, tmp_path_factory) -> None:
    place = data.draw(st.integers(0, len(stored) - 1))
    bit = data.draw(st.integers(0, 7))
    folder = tmp_path_factory.mktemp("flipped")
    (folder / CURRENT).write_bytes(stored[:place] + bytes([stored[place] ^ (1 << bit)]) + stored[place + 1 :])
    notes: list[str] = []
    snapshot = trainer.CheckpointStore(folder, "small").read(notes.append)
    # White space in the header may change without changing what is stored.
    assert notes or (snapshot is not None and snapshot.record["step"] == 3)


def test_checkpoint_of_something_else_is_not_used(tmp_path: Path) -> None:
    interrupt(tmp_path, 8)
    _, result = run(tmp_path, plan(identity="another"))
    assert result.record.resumed_at == []
    assert "another design" in result.record.notes[0]


class Breaking(SmallModel):
    """Breaks in a given way from a given batch on."""

    def __init__(self, how: str, after: int) -> None:
        super().__init__()
        self.how, self.after = how, after

    def forward(self, ids: Tensor, labels: Tensor | None = None) -> Output:
        out = super().forward(ids, labels)
        if out.loss is not None and self.batches > self.after:
            if self.how == "loss":
                out.loss = out.loss * math.nan
            elif self.how == "gradient":
                out.loss = out.loss + 0 * (out.logits * 0).abs().sqrt().sum()
            else:
                out.loss = out.loss + 0.2 * (self.batches - self.after)
        return out


@pytest.mark.parametrize(
    ("how", "status", "words"),
    [
        ("loss", "non_finite", "training loss was nan at step 31"),
        ("gradient", "non_finite", "gradient's norm was nan at step 31"),
        ("drift", "diverged", "smoothed training loss"),
    ],
)
def test_guards_have_names(how: str, status: str, words: str, tmp_path: Path) -> None:
    model, result = run(tmp_path, plan(steps=80), model=Breaking(how, 30))
    assert (result.status, words in result.error) == (status, True)
    assert all(torch.isfinite(tensor).all() for tensor in state(model).values())
    assert result.record.step < 80
    assert result.record.seconds > 0


def test_learns(tmp_path: Path) -> None:
    _, result = run(tmp_path, plan(steps=150))
    assert result.record.curve[-1][1] < result.record.curve[0][1] - 0.5
    assert [tokens for tokens, _ in result.record.held_out_curve] == [3200, 6400, 9600]


def test_equals_a_loop_written_plainly(tmp_path: Path) -> None:
    the_plan = plan(steps=12)
    model, _ = run(tmp_path, the_plan)
    plain = SmallModel()
    matrices = [p for p in plain.parameters() if p.ndim >= 2]
    rest = [p for p in plain.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1.0, betas=(0.9, 0.95), foreach=False)
    torch.manual_seed(trainer.derive(0, "training"))
    for step in range(12):
        for group in optimizer.param_groups:
            group["lr"] = the_plan.rate(step)
        batch = batch_at(step)
        loss = plain(torch.from_numpy(batch.inputs), torch.from_numpy(batch.labels)).loss
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
        optimizer.step()
    for (name, a), b in zip(state(model).items(), state(plain).values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6, msg=name)


def test_accumulated_gradient_is_the_whole_batchs(monkeypatch: pytest.MonkeyPatch) -> None:
    gradients = []
    for rows in (4, 1):
        model = SmallModel()
        model.drop.p = 0.0
        optimizer = make_optimizer(model, plan(clip=1e9))
        monkeypatch.setattr(optimizer, "zero_grad", lambda: None)
        loss = trainer._step(model, optimizer, batch_at(3), plan(clip=1e9, micro_rows=rows), 0, ALONE)
        gradients.append((loss, [p.grad.clone() for p in model.parameters() if p.grad is not None]))
    (loss_whole, whole_batch), (loss_parts, parts) = gradients
    assert loss_parts == pytest.approx(loss_whole, rel=1e-6)
    for a, b in zip(whole_batch, parts, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_only_matrices_decay() -> None:
    decayed, rest = make_optimizer(SmallModel(), plan()).param_groups
    assert decayed["weight_decay"] == 0.1 and all(p.ndim >= 2 for p in decayed["params"])
    assert rest["weight_decay"] == 0.0 and all(p.ndim < 2 for p in rest["params"])


@given(steps=st.integers(1, 5000), warmup=st.floats(0, 0.5), final=st.floats(0, 1))
def test_schedule_rises_then_falls(steps: int, warmup: float, final: float) -> None:
    the_plan = plan(steps=steps, learning_rate=1.0, warmup=warmup, final_rate=final)
    rates = [the_plan.rate(step) for step in range(steps)]
    peak = max(1, round(warmup * steps)) - 1
    assert rates[: peak + 1] == sorted(rates[: peak + 1]) and rates[min(peak, steps - 1)] == pytest.approx(
        1.0
    )
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert all(0 < rate <= 1 or final == 0 for rate in rates) and min(rates[peak:]) >= final - 1e-12


@given(steps=st.integers(1, 10_000_000), probes=st.integers(1, 8))
def test_the_curve_is_short_and_the_last_step_is_probed(steps: int, probes: int) -> None:
    the_plan = plan(steps=steps, probes=probes)
    assert -(-steps // the_plan.stretch) <= CURVE_POINTS
    assert the_plan.probe_after(steps)
    if steps <= 2000:
        assert sum(the_plan.probe_after(step + 1) for step in range(steps)) == min(steps, probes)


def test_every_step_is_in_the_curve_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, "CURVE_POINTS", 7)
    _, result = run(tmp_path, plan(steps=24))
    assert [tokens // 64 for tokens, _ in result.record.curve] == [4, 8, 12, 16, 20, 24]


def test_trains_in_bf16(tmp_path: Path) -> None:
    model, result = run(tmp_path, plan(steps=150, precision="bf16"))
    assert result.record.curve[-1][1] < result.record.curve[0][1] - 0.5
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())


def test_a_hopeless_run_is_stopped_at_its_rung(tmp_path: Path) -> None:
    step_tokens = plan().step_tokens
    hopeless = Rung(tokens=8 * step_tokens, limit=0.5)
    _, stopped = run(tmp_path / "hopeless", plan(rungs=(hopeless,)))
    assert stopped.status == "stopped" and stopped.record.step == 8
    assert f"after {8 * step_tokens:,} of {24 * step_tokens:,} tokens, above the limit 0.5" in stopped.error
    fine = Rung(tokens=8 * step_tokens, limit=99.0)
    model, done = run(tmp_path / "fine", plan(rungs=(fine,)))
    assert done.status == "ok"
    other, _ = run(tmp_path / "none", plan())
    assert all(map(torch.equal, model.state_dict().values(), other.state_dict().values()))


def test_a_rung_between_probes_is_looked_at_by_the_next_one_only(tmp_path: Path) -> None:
    step_tokens = plan().step_tokens
    between = Rung(tokens=9 * step_tokens, limit=0.5)  # probes come after steps 8, 16 and 24
    _, stopped = run(tmp_path, plan(rungs=(between,)))
    assert stopped.status == "stopped" and stopped.record.step == 16
