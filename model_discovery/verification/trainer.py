"""The training loop. `train` is the whole run: schedule, steps, guards, checkpoints, exact resume.

It knows a module that returns a loss, and a function that gives the batch of a step; a run that goes on from
step ``n`` sees what an uninterrupted one would have seen, and ends with the same weights to the bit on a CPU.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model_discovery.seeds import derive
from model_discovery.verification.checkpoints import CheckpointStore, restore
from model_discovery.verification.compiled import uncompiled
from model_discovery.verification.device import (
    MICRO_TOKENS,
    Precision,
    autocast,
    device_of,
    put,
    random_states,
    set_random_states,
)
from model_discovery.verification.group import ALONE, Group
from model_discovery.verification.outcome import VerificationFailure
from model_discovery.verification.recipes import Recipe
from model_discovery.verification.report import CURVE_POINTS, Rung, VerificationStatus
from model_discovery.verification.streams import IGNORED, Batch

CHECKPOINT_SHARE = 0.01  # of the time, at most, goes into checkpoints …
MOST_PAUSES = 60  # … unless the pause would become this many times the least one
SMOOTHING = 0.05
DIVERGED_AFTER = 20  # steps before divergence can be told from the first noise
DIVERGED_BY = 1.0  # nats per token that the smoothed loss may rise above its lowest value


@dataclass(frozen=True)
class TrainPlan:
    """How to train: steps, rates and limits, all settled before the first step.

    Attributes
    ----------
    steps, step_tokens
        Optimiser steps, and tokens in each.
    warmup, final_rate
        Share of the steps with a rising rate; share of the peak rate that the cosine ends at.
    probes
        How often the held-out loss is taken, at equal distances, the last time at the end.
    identity
        Names design, recipe and data: a checkpoint of another identity is not used.
    checkpoint_seconds
        Time between checkpoints at least.
    micro_rows
        Rows of one forward pass; larger steps accumulate. As many as hold `MICRO_TOKENS` where None.
    rungs
        Held-out losses above which the run is stopped, taken at the first probe from their tokens on.
    """

    steps: int
    step_tokens: int
    learning_rate: float
    seed: int = 0
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.1
    clip: float = 1.0
    warmup: float = 0.02
    final_rate: float = 0.1
    precision: Precision = "fp32"
    probes: int = 1
    identity: str = ""
    checkpoint_seconds: float = 2.0
    micro_rows: int | None = None
    rungs: tuple[Rung, ...] = ()

    @classmethod
    def from_recipe(
        cls, recipe: Recipe, scale: str, *, seed: int, precision: Precision, identity: str
    ) -> "TrainPlan":
        """The plan of a recipe at a scale."""
        return cls(
            steps=recipe.steps_for(scale),
            step_tokens=recipe.batch_size_for(scale) * recipe.context,
            learning_rate=recipe.learning_rate_for(scale),
            seed=seed,
            betas=recipe.betas,
            weight_decay=recipe.weight_decay,
            clip=recipe.clip,
            warmup=recipe.warmup,
            final_rate=recipe.final_rate,
            precision=precision,
            probes=recipe.eval_points,
            identity=identity,
        )

    def rate(self, step: int) -> float:
        """Learning rate of a step: linear warm-up, then a cosine down to ``final_rate`` of the peak."""
        rising = max(1, round(self.warmup * self.steps))
        if step < rising:
            return self.learning_rate * (step + 1) / rising
        share = (step - rising) / max(1, self.steps - rising)
        falling = 0.5 * (1 + math.cos(math.pi * share))
        return self.learning_rate * (self.final_rate + (1 - self.final_rate) * falling)

    def probe_after(self, step: int) -> bool:
        """Whether the held-out loss is taken once ``step`` steps are done."""
        return step * self.probes // self.steps > (step - 1) * self.probes // self.steps

    @property
    def stretch(self) -> int:
        """Steps that one point of the curve is the mean of."""
        return -(-self.steps // CURVE_POINTS)


@dataclass
class Record:
    """What a run has done so far; part of every checkpoint, so that nothing is lost or counted twice."""

    step: int = 0
    seconds: float = 0.0
    loss_sum: float = 0.0
    loss_count: int = 0
    smoothed: float | None = None
    lowest: float | None = None
    curve: list[list[float]] = field(default_factory=list)
    held_out_curve: list[list[float]] = field(default_factory=list)
    resumed_at: list[int] = field(default_factory=list)
    processes: int = 1
    notes: list[str] = field(default_factory=list)

    def add(self, loss: float, plan: TrainPlan) -> None:
        """One more step with this loss."""
        self.step += 1
        self.loss_sum += loss
        self.loss_count += 1
        weight = max(SMOOTHING, 1 / self.step)
        self.smoothed = loss if self.smoothed is None else self.smoothed + weight * (loss - self.smoothed)
        self.lowest = self.smoothed if self.lowest is None else min(self.lowest, self.smoothed)
        if self.step % plan.stretch == 0 or self.step == plan.steps:
            self.curve.append([self.step * plan.step_tokens, self.loss_sum / self.loss_count])
            self.loss_sum, self.loss_count = 0.0, 0

    def check(self) -> None:
        """Raise ``diverged`` where the loss has left where it had been."""
        if self.smoothed is None or self.lowest is None or self.step < DIVERGED_AFTER:
            return
        if self.smoothed > self.lowest + DIVERGED_BY:
            raise VerificationFailure(
                "diverged",
                f"at step {self.step} the smoothed training loss was {self.smoothed:.2f}, "
                f"after {self.lowest:.2f} before",
            )

    def check_rungs(self, plan: TrainPlan) -> None:
        """Raise ``stopped`` where the held-out loss just taken is above the limit of a rung just passed."""
        tokens, loss = self.held_out_curve[-1]
        before = self.held_out_curve[-2][0] if len(self.held_out_curve) > 1 else 0
        for rung in plan.rungs:
            if before < rung.tokens <= tokens and loss > rung.limit:
                raise VerificationFailure(
                    "stopped",
                    f"hopeless: held-out loss {loss:.4f} after {tokens:,.0f} of "
                    f"{plan.steps * plan.step_tokens:,} tokens, above the limit {rung.limit:.4f}",
                )


@dataclass(frozen=True)
class TrainResult:
    """How a run ended, and its record up to there."""

    status: VerificationStatus
    error: str
    record: Record


def train(
    model: nn.Module,
    batch_at: Callable[[int], Batch],
    plan: TrainPlan,
    *,
    folder: Path,
    held_out: Callable[[], float],
    report: Callable[[dict[str, Any]], None] = lambda _: None,
    group: Group = ALONE,
) -> TrainResult:
    """Train ``model`` by ``plan``; go on where an earlier call in the same ``folder`` was cut off.

    Parameters
    ----------
    model
        Called as ``model(inputs, labels)``, both ``(B, T)``, on its own device; its answer has ``.loss``.
    batch_at
        The batch of a step, from 0.
    folder
        For checkpoints.
    held_out
        Held-out loss of the model as it is, in nats per token; taken ``plan.probes`` times.
    report
        Hears ``tokens``, ``loss`` and ``tokens_per_second`` about once a second.
    group
        The processes that train it together, each with its own copy; the first one keeps the checkpoints.
    """
    optimizer = make_optimizer(model, plan)
    store = CheckpointStore(folder, plan.identity)
    record = _begin(model, optimizer, store, plan, group)
    clock = _Clock(record, plan.checkpoint_seconds)
    try:
        while record.step < plan.steps:
            for parameters in optimizer.param_groups:
                parameters["lr"] = plan.rate(record.step)
            loss = _step(model, optimizer, batch_at(record.step), plan, record.step, group)
            record.add(loss, plan)
            record.check()
            if plan.probe_after(record.step):
                with clock.paused():
                    record.held_out_curve.append([record.step * plan.step_tokens, _probe(held_out, model)])
                record.check_rungs(plan)
            if group.first and (clock.wants_checkpoint() or record.step == plan.steps):
                with clock.paused():
                    store.write(model, optimizer, asdict(record))
                    clock.stored()
            if clock.wants_report() or record.step == plan.steps:
                clock.stop()
                report(_progress(record, plan))
    except VerificationFailure as failure:
        clock.stop()
        return TrainResult(failure.status, failure.error, record)
    return TrainResult("ok", "", record)


def make_optimizer(model: nn.Module, plan: TrainPlan) -> torch.optim.Optimizer:
    """AdamW in one fused kernel; only matrices decay."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": plan.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]], lr=plan.learning_rate, betas=plan.betas, fused=True
    )


def _begin(
    model: nn.Module, optimizer: torch.optim.Optimizer, store: CheckpointStore, plan: TrainPlan, group: Group
) -> Record:
    """The record to go on with: of the latest whole checkpoint, or a new one."""
    model.train()
    notes: list[str] = []
    snapshot = group.same_start(store.read(notes.append) if group.first else None)
    if snapshot is None:
        torch.manual_seed(derive(plan.seed, "training"))
        return Record(notes=[f"{note}; training began anew" for note in notes], processes=group.size)
    restore(snapshot, model, optimizer)
    record = Record(**snapshot.record)
    record.notes += [f"{note}; training went on from step {record.step}" for note in notes]
    record.notes += group.note_change(record.processes, record.step)
    record.processes = group.size
    if record.step < plan.steps:
        record.resumed_at.append(record.step)
    return record


def _step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    plan: TrainPlan,
    step: int,
    group: Group,
) -> float:
    """One optimiser step; the mean loss before it. No weight changes unless loss and gradient are finite."""
    device, total = device_of(model), batch.targets
    losses = []
    group.seed_step(plan.seed, step)
    for inputs, labels, targets in _micro_batches(batch, plan, device, group):
        with autocast(device, plan.precision):
            loss = model(inputs, labels).loss * (targets / total)
        loss.backward()
        losses.append(loss.detach())
    loss_now = group.sum_gradients(model, torch.stack(losses).sum() if losses else torch.zeros(()))
    if not math.isfinite(loss_now):
        raise VerificationFailure("non_finite", f"the training loss was {loss_now} at step {step + 1}")
    norm = float(nn.utils.clip_grad_norm_(model.parameters(), plan.clip))
    if not math.isfinite(norm):
        raise VerificationFailure("non_finite", f"the gradient's norm was {norm} at step {step + 1}")
    optimizer.step()
    optimizer.zero_grad()
    return loss_now


def _micro_batches(
    batch: Batch, plan: TrainPlan, device: torch.device, group: Group
) -> Iterable[tuple[Tensor, Tensor, int]]:
    """The rows in portions, on the device, each with how many of its labels count."""
    rows, context = batch.inputs.shape
    for first, stop in group.portions(rows, plan.micro_rows or max(1, MICRO_TOKENS // context)):
        labels = batch.labels[first:stop]
        targets = int((labels != IGNORED).sum())
        if targets:
            yield put(batch.inputs[first:stop], device), put(labels, device), targets


def _probe(held_out: Callable[[], float], model: nn.Module) -> float:
    device = device_of(model)
    random = random_states(device)
    loss = held_out()
    set_random_states(random, device)
    model.train()
    if not math.isfinite(loss):
        raise VerificationFailure("non_finite", f"the held-out loss was {loss}")
    return loss


def _progress(record: Record, plan: TrainPlan) -> dict[str, Any]:
    tokens = record.step * plan.step_tokens
    return {
        "tokens": tokens,
        "of": plan.steps * plan.step_tokens,
        "loss": record.smoothed,
        "tokens_per_second": tokens / record.seconds,
    }


class _Clock:
    """Time spent in training steps, over all sittings; and when the next report or checkpoint is due."""

    def __init__(self, record: Record, checkpoint_seconds: float) -> None:
        self._record = record
        self._since = self._reported = self._stored = time.monotonic()
        self._least = self._pause = checkpoint_seconds

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Time that does not count as training."""
        self.stop()
        yield
        self._since = time.monotonic()

    def stop(self) -> None:
        """Bring the record's seconds up to now."""
        now = time.monotonic()
        self._record.seconds += now - self._since
        self._since = now

    def wants_report(self) -> bool:
        """Once a second."""
        if time.monotonic() - self._reported < 1.0:
            return False
        self._reported = time.monotonic()
        return True

    def wants_checkpoint(self) -> bool:
        """After the least pause, or a longer one where checkpoints are slow."""
        return time.monotonic() - self._stored >= self._pause

    def stored(self) -> None:
        """A checkpoint has just been written, within the current `paused`."""
        now = time.monotonic()
        wanted = (now - self._since) / CHECKPOINT_SHARE
        self._pause = min(max(self._least, wanted), MOST_PAUSES * self._least)
        self._stored = now


@torch.no_grad()
def window_losses(model: nn.Module, batches: Iterable[Batch]) -> tuple[list[float], list[int]]:
    """Mean loss of each window in nats per token, and the tokens that count in it; fp32, no auxiliary losses.

    ``model(inputs)`` answers with ``.logits (B, T, V)``.
    """
    model.eval()
    device = device_of(model)
    means: list[float] = []
    counts: list[int] = []
    with uncompiled(model):
        for batch in batches:
            labels = put(batch.labels, device)
            logits = model(put(batch.inputs, device)).logits.float()
            flat = F.cross_entropy(
                logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="none"
            )
            tokens = (labels != IGNORED).sum(dim=1)
            means += (flat.view_as(labels).double().sum(dim=1) / tokens).tolist()
            counts += tokens.tolist()
    return means, counts
