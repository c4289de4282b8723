"""A model of a few hundred parameters with all that has to survive an interruption, and its batches."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model_discovery.verification.streams import IGNORED, Batch
from model_discovery.verification.trainer import TrainPlan, TrainResult, train, window_losses

VOCABULARY, WIDTH, ROWS, CONTEXT = 23, 8, 4, 16


class Interrupted(BaseException):
    """Stands for SIGKILL: nothing that was not on disk is kept."""


@dataclass
class Output:
    logits: Tensor
    loss: Tensor | None = None


class SmallModel(nn.Module):
    """Dropout needs the random state, batch counting a buffer, tied weights one tensor under two names."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.embedding = nn.Embedding(VOCABULARY, WIDTH)
        self.mix = nn.GRU(WIDTH, WIDTH, batch_first=True)
        self.norm = nn.LayerNorm(WIDTH)
        self.drop = nn.Dropout(0.1)
        self.head = nn.Linear(WIDTH, VOCABULARY, bias=False)
        self.head.weight = self.embedding.weight
        self.register_buffer("batches", torch.zeros(()))

    def forward(self, ids: Tensor, labels: Tensor | None = None) -> Output:
        x = self.embedding(ids)
        logits = self.head(self.drop(self.norm(x + self.mix(x)[0])))
        if labels is None:
            return Output(logits)
        self.batches += 1
        return Output(logits, F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED))


def batch_at(step: int) -> Batch:
    """A sequence that can be learnt: each token follows from the one before, but for noise."""
    draw = np.random.Generator(np.random.PCG64(step))
    ids = np.zeros((ROWS, CONTEXT + 1), dtype=np.int64)
    ids[:, 0] = draw.integers(VOCABULARY, size=ROWS)
    for t in range(CONTEXT):
        noise = draw.integers(VOCABULARY, size=ROWS)
        ids[:, t + 1] = np.where(draw.random(ROWS) < 0.9, (3 * ids[:, t] + 1) % VOCABULARY, noise)
    labels = ids[:, 1:].copy()
    labels[0, : step % 4] = IGNORED
    return Batch(ids[:, :-1].copy(), labels)


def plan(steps: int = 24, **changes: Any) -> TrainPlan:
    settings: dict[str, Any] = {
        "steps": steps,
        "step_tokens": ROWS * CONTEXT,
        "learning_rate": 1e-2,
        "probes": 3,
        "identity": "small",
        "checkpoint_seconds": 0.0,
    }
    return TrainPlan(**(settings | changes))


def run(
    folder: Path, the_plan: TrainPlan, *, stop_at: int | None = None, model: nn.Module | None = None
) -> tuple[nn.Module, TrainResult]:
    """Train a new small model in ``folder``; with ``stop_at`` it is interrupted before that step."""
    folder.mkdir(parents=True, exist_ok=True)
    model = SmallModel() if model is None else model

    def batches(step: int) -> Batch:
        if step == stop_at:
            raise Interrupted
        return batch_at(step)

    def held_out() -> float:
        losses, _ = window_losses(model, [batch_at(10_000)])
        return sum(losses) / len(losses)

    return model, train(model, batches, the_plan, folder=folder, held_out=held_out)


def state(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}
