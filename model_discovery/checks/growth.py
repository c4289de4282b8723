"""A look at how the time of a forward grows with the length, before the long runs."""

import math
import time
from collections.abc import Iterator

import torch

from model_discovery.checks.report import Finding
from model_discovery.checks.subject import Subject, states

LENGTHS = (128, 512)
STEEPEST = 2.4
"""Exponent of T allowed. Attention, the steepest of the known, stays below 2 at these lengths."""

AFFORDABLE = 0.15
"""Seconds of a forward at the larger length below which its growth is of no interest."""


def growth(subject: Subject) -> Iterator[Finding]:
    """A finding named *cost* when time grows steeper than T^2.4 and is felt."""
    short, long = (_seconds(subject, length) for length in LENGTHS)
    exponent = math.log(long / max(short, 1e-4)) / math.log(LENGTHS[1] / LENGTHS[0])
    if exponent > STEEPEST and long > AFFORDABLE:
        yield Finding(
            check="cost",
            where=f"forward at T={LENGTHS[0]} and T={LENGTHS[1]}",
            measured=f"time grows as T^{exponent:.1f}, to {long:.2g} s",
            limit=f"T^{STEEPEST:g}",
            hint="nothing may compare every pair of pairs: scan, chunk, or attend once",
        )


def _seconds(subject: Subject, length: int) -> float:
    """Processor time of a forward, the better of two."""
    x = subject.inputs(1, length)
    times = []
    with torch.no_grad():
        for _ in range(2):
            start = time.process_time()
            states(subject.model, x)
            times.append(time.process_time() - start)
    return min(times)
