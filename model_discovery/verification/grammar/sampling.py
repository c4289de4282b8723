"""Weighted choice from additions, divisions and a Mersenne twister: the same draws on every machine."""

import random
from bisect import bisect
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
Draw = Callable[[], float]


def draws(seed: int) -> Draw:
    """A source of numbers in ``[0, 1)``."""
    return random.Random(seed).random


class Weighted(Generic[T]):
    """Items with weights.

    Parameters
    ----------
    items
        What is chosen from, in a fixed order.
    weights
        One weight an item; by default Zipf's, ``1 / (rank + flat)``.
    flat
        How flat the head of Zipf's law is.
    """

    __slots__ = ("_cumulative", "items")

    def __init__(
        self, items: Sequence[T], weights: Sequence[float] | None = None, *, flat: float = 1.2
    ) -> None:
        chosen = weights if weights is not None else [1.0 / (rank + flat) for rank in range(len(items))]
        if len(chosen) != len(items) or not items:
            raise ValueError("one weight an item, and at least one item")
        total = sum(chosen)
        running, cumulative = 0.0, []
        for weight in chosen:
            running += weight
            cumulative.append(running / total)
        cumulative[-1] = 1.0
        self.items = tuple(items)
        self._cumulative = cumulative

    def draw(self, draw: Draw) -> T:
        """One item."""
        return self.items[bisect(self._cumulative, draw())]


def pick(items: Sequence[T], draw: Draw) -> T:
    """One of ``items``, all alike."""
    return items[int(draw() * len(items))]


def shuffled(items: Sequence[T], draw: Draw) -> list[T]:
    """The items in a random order."""
    order = list(items)
    for last in range(len(order) - 1, 0, -1):
        other = int(draw() * (last + 1))
        order[last], order[other] = order[other], order[last]
    return order
