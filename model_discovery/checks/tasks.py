"""Small synthetic tasks that ask for one ability each."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from model_discovery.blocks.token_loss import IGNORED

SEPARATOR = 60
"""A token of no task's symbols."""


class Batch(NamedTuple):
    """Token ids ``(B, T)`` and what should follow each; ``IGNORED`` where nothing is asked."""

    ids: Tensor
    labels: Tensor


class Task(NamedTuple):
    """How to draw a batch, and the share of right answers that guessing gives."""

    draw: Callable[[int, Generator], Batch]
    chance: float


def copy(batch: int, generator: Generator) -> Batch:
    """Sixteen symbols of eight, a separator, and the same sixteen again."""
    symbols = torch.randint(8, (batch, 16), generator=generator)
    separator = torch.full((batch, 1), SEPARATOR)
    sequence = torch.cat([symbols, separator, symbols], dim=1)
    return _answers(sequence, torch.arange(sequence.shape[1]) > 16)


def induction(batch: int, generator: Generator) -> Batch:
    """Eight symbols in a random order, four times over: what came after this one the last time?"""
    repeated = torch.rand(batch, 8, generator=generator).argsort(1).repeat(1, 4)
    return _answers(repeated, torch.arange(repeated.shape[1]) > 8)


def recall(batch: int, generator: Generator) -> Batch:
    """Four of eight keys with a value each, then the keys in another order: give the value of each."""
    keys = torch.rand(batch, 8, generator=generator).argsort(1)[:, :4]
    values = 8 + torch.randint(4, keys.shape, generator=generator)
    order = torch.rand(keys.shape, generator=generator).argsort(1)
    pairs = torch.stack([keys, values], dim=2).flatten(1)
    asked = torch.stack([keys.gather(1, order), values.gather(1, order)], dim=2).flatten(1)
    position = torch.arange(2 * pairs.shape[1])
    answers = (position > pairs.shape[1]) & (position % 2 == 1)
    return _answers(torch.cat([pairs, asked], dim=1), answers)


def parity(batch: int, generator: Generator) -> Batch:
    """Twenty-four bits; after each, whether the number of ones is odd."""
    bits = torch.randint(2, (batch, 24), generator=generator)
    return Batch(bits, 2 + bits.cumsum(1) % 2)


def _answers(sequence: Tensor, asked: Tensor) -> Batch:
    """The next token wherever ``asked`` says that it can be known."""
    return Batch(sequence[:, :-1], torch.where(asked, sequence, IGNORED)[:, 1:])


TASKS: Mapping[str, Task] = MappingProxyType(
    {
        "copy": Task(copy, 1 / 8),
        "induction": Task(induction, 1 / 8),
        "recall": Task(recall, 1 / 4),
        "parity": Task(parity, 1 / 2),
    }
)
"""By name: copy, induction, multi-query associative recall, parity."""
