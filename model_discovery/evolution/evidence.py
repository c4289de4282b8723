"""What was measured: runs per design and scale, kept as running moments in arrays that grow."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Flags = NDArray[np.bool_]
Indices = NDArray[np.intp]

_FIRST_CAPACITY = 64


class Grid:
    """An array of one row a design that grows by doubling; `rows` is a view of what is in use.

    Each column lies in one piece, since nearly all that is asked is asked of a whole column.
    """

    def __init__(self, columns: int, dtype: type[np.generic]) -> None:
        self._cells: NDArray[Any] = np.zeros((columns, _FIRST_CAPACITY), dtype=dtype)
        self._used = 0

    def append(self) -> None:
        """One more row of zeros."""
        if self._used == self._cells.shape[1]:
            self._cells = np.concatenate([self._cells, np.zeros_like(self._cells)], axis=1)
        self._used += 1

    @property
    def rows(self) -> NDArray[Any]:
        """``(N, columns)``; writing to it changes the grid."""
        return self._cells[:, : self._used].T


class Evidence:
    """Held-out losses of all designs at all scales, in nats per token.

    Only the count, the mean and the sum of squared deviations of each (design, scale) are kept (Welford), so
    recording is O(1) and a posterior is a few vectorised operations over ``(N, S)``.
    """

    def __init__(self, n_scales: int) -> None:
        self.version = 0
        self._count = Grid(n_scales, np.int64)
        self._mean = Grid(n_scales, np.float64)
        self._squares = Grid(n_scales, np.float64)

    def add_design(self) -> None:
        """Make room for one more design."""
        for grid in (self._count, self._mean, self._squares):
            grid.append()
        self.version += 1

    def observe(self, design: int, scale: int, loss: float) -> None:
        """Record one finished run; a loss that is not finite is a failure with a name, not an observation."""
        if not math.isfinite(loss):
            raise ValueError(f"a loss of {loss} is not an observation")
        count, mean, squares = self.count, self.mean, self.squares
        count[design, scale] += 1
        step = loss - mean[design, scale]
        mean[design, scale] += step / count[design, scale]
        squares[design, scale] += step * (loss - mean[design, scale])
        self.version += 1

    @property
    def count(self) -> Counts:
        """Runs, ``(N, S)``."""
        return self._count.rows

    @property
    def mean(self) -> Floats:
        """Mean loss, ``(N, S)``; meaningless (0) where there is no run."""
        return self._mean.rows

    @property
    def squares(self) -> Floats:
        """Sum of squared deviations from the mean over seeds, ``(N, S)``."""
        return self._squares.rows
