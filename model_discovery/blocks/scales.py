"""Scales: how large a model is and how it is trained at that size, as data."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from model_discovery.errors import unknown

REFERENCE_VOCABULARY = 32_000


@dataclass(frozen=True)
class Scale:
    """One size of model.

    Parameters
    ----------
    name
        ``0.1M`` … ``1300M``.
    width, n_blocks
        Of the reference Transformer; other designs are sized towards ``target``.
    target
        Non-embedding parameters to aim at (``12 width² n_blocks``).
    context
        Tokens of a training sequence.
    batch_tokens
        Tokens of an optimiser step.
    learning_rate
        Peak learning rate.
    tokens
        Length of the published training run; ``None`` where the recipe decides.
    published
        Whether the scale belongs to the published ladder.
    """

    name: str
    width: int
    n_blocks: int
    target: int
    context: int
    batch_tokens: int
    learning_rate: float
    tokens: int | None
    published: bool

    @property
    def steps(self) -> int | None:
        """Optimiser steps of the published run."""
        return None if self.tokens is None else math.ceil(self.tokens / self.batch_tokens)


def reference_size(width: int, n_blocks: int, vocab_size: int = REFERENCE_VOCABULARY) -> int:
    """Parameters of the reference model with its embedding: ``V d + L (12 d² + 6 d) + d``."""
    return vocab_size * width + n_blocks * (12 * width**2 + 6 * width) + width


def _small(name: str, width: int, n_blocks: int, context: int, batch_tokens: int, rate: float) -> Scale:
    target = 12 * width**2 * n_blocks
    return Scale(name, width, n_blocks, target, context, batch_tokens, rate, None, published=False)


def _published(name: str, width: int, n_blocks: int, rate: float, batch_tokens: int, ratio: int) -> Scale:
    tokens = ratio * reference_size(width, n_blocks)
    target = 12 * width**2 * n_blocks
    return Scale(name, width, n_blocks, target, 2048, batch_tokens, rate, tokens, published=True)


_BATCH = 512 * 1024
_ALL = (
    _small("0.1M", 64, 2, 128, 4096, 3e-3),
    _small("0.4M", 96, 4, 128, 8192, 2e-3),
    _small("1.5M", 160, 5, 256, 16_384, 1.5e-3),
    _small("5M", 256, 6, 256, 32_768, 1e-3),
    _published("14M", 128, 6, 1e-3, _BATCH, 50),
    _published("31M", 256, 6, 1e-3, _BATCH, 40),
    _published("70M", 512, 6, 1e-3, _BATCH, 30),
    _published("125M", 768, 12, 6e-4, _BATCH, 20),
    _published("350M", 1024, 24, 3e-4, _BATCH, 20),
    _published("760M", 1536, 24, 2.5e-4, _BATCH, 20),
    _published("1300M", 2048, 24, 2e-4, 2 * _BATCH, 20),
)

SCALES: Mapping[str, Scale] = MappingProxyType({scale.name: scale for scale in _ALL})
"""All scales, the small ones first, each group ascending."""


def get_scale(name: str) -> Scale:
    """The scale of that name; UserError with the nearest one where there is none."""
    if name not in SCALES:
        raise unknown("scale", name, SCALES)
    return SCALES[name]
