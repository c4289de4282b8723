"""How the work of a forward grows with the length, counted and not timed: the same on every machine."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from model_discovery.checks.report import Finding
from model_discovery.checks.subject import Subject, states

LENGTHS = (128, 256, 384, 512)
CUBIC_LIMIT = 0.3
"""Share of the work at the largest length that may grow as its cube. Attention is a square."""

STEEPEST = 1.7
"""Exponent from half the largest length to it, below which the share is the noise of odd chunks."""


def growth(subject: Subject) -> Iterator[Finding]:
    """A finding named *cost* when a large part of the work grows as the cube of the length."""
    share, exponent = cubic_growth(subject)
    if share > CUBIC_LIMIT and exponent > STEEPEST:
        yield Finding(
            check="cost",
            where=f"forward at T={LENGTHS[-1]}",
            measured=f"{share:.0%} of the work grows as T^3",
            limit=f"{CUBIC_LIMIT:.0%}",
            hint="nothing may compare every pair of pairs: scan, chunk, or attend once",
        )


def cubic_growth(subject: Subject) -> tuple[float, float]:
    """Share of the work that is cubic in the length, and the exponent over the last doubling.

    The third difference of ``a + b T + c T^2 + d T^3`` at T, 2 T, 3 T and 4 T leaves ``6 d T^3``.
    """
    with torch.no_grad():
        states(subject.model, subject.inputs(1, LENGTHS[-1]))  # tables that are made once are made now
    one, two, three, four = (work(subject, length) for length in LENGTHS)
    return (four - 3 * three + 3 * two - one) / 6 * 64 / four, math.log2(four / two)


def work(subject: Subject, length: int) -> float:
    """Multiplications of matrix products, and elements made by all other operations, in one forward."""
    counter = _Counter()
    with torch.no_grad(), counter:
        states(subject.model, subject.inputs(1, length))
    return counter.total


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 1.0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        known = flop_registry.get(func.overloadpacket)
        if known is not None:
            self.total += known(*args, **(kwargs or {}), out_val=out)
        else:
            results = out if isinstance(out, tuple | list) else (out,)
            self.total += sum(result.numel() for result in results if isinstance(result, Tensor))
        return out
