"""A few optimiser steps, the same for a design and for the reference it is measured against."""

from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from model_discovery.blocks.language_model import LanguageModel
from model_discovery.blocks.seed_designs import get_seed_design
from model_discovery.blocks.token_loss import IGNORED
from model_discovery.checks.placement import STANDARD
from model_discovery.checks.subject import Subject

BETAS, WEIGHT_DECAY, CLIP = (0.9, 0.95), 0.1, 1.0
WARMUP = 5


class Step(NamedTuple):
    """One optimiser step: loss in nats a token, gradient norm before clipping, share of right tokens."""

    loss: float
    gradient_norm: float
    accuracy: float


@cache
def reference(scale: str) -> Subject:
    """The reference Transformer, to be tested at a scale."""
    return Subject(get_seed_design(STANDARD).tree, (scale,))


def train(
    model: LanguageModel, batches: Iterable[tuple[Tensor, Tensor]], learning_rate: float
) -> Iterator[Step]:
    """AdamW with a short warm-up over batches of ids and labels; what each step measured."""
    model.train()
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=learning_rate, betas=BETAS, weight_decay=WEIGHT_DECAY
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for number, (ids, labels) in enumerate(batches):
            optimiser.param_groups[0]["lr"] = learning_rate * min(1.0, (number + 1) / WARMUP)
            output = model(ids, labels=labels)
            optimiser.zero_grad()
            torch.autograd.backward(output.loss)
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            optimiser.step()
            with torch.no_grad():
                yield _step(output.logits.detach(), labels, float(norm.detach()))


def _step(logits: Tensor, labels: Tensor, norm: float) -> Step:
    asked = labels != IGNORED
    loss = F.cross_entropy(logits.float().flatten(0, 1), labels.flatten(), ignore_index=IGNORED)
    right = (logits.argmax(-1) == labels)[asked].float().mean()
    return Step(float(loss), norm, float(right))
