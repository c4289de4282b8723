"""Cutting a width into heads and chunks, and back."""

import torch.nn.functional as F
from torch import Tensor


def split_heads(x: Tensor, n_heads: int) -> Tensor:
    """``(B, T, H * D)`` to ``(B, H, T, D)``."""
    batch, length, width = x.shape
    return x.view(batch, length, n_heads, width // n_heads).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """``(B, H, T, D)`` to ``(B, T, H * D)``."""
    batch, n_heads, length, width = x.shape
    return x.transpose(1, 2).reshape(batch, length, n_heads * width)


def head_count(width: int, head_dim: int, least: int = 1) -> int:
    """The number of equal heads of even width that come nearest to ``head_dim``.

    ``least`` asks a narrow model for that many heads as long as they stay 16 wide. Any even width works:
    160 gives 2 heads of 80 for a wanted 64, and 4 of 40 when at least four are asked for.
    """
    wanted = min(head_dim, max(16, width // least))
    counts = [n for n in range(1, width // 2 + 1) if width % (2 * n) == 0]
    return min(counts, key=lambda n: (abs(width / n - wanted), n))


def divisor(number: int, wanted: int) -> int:
    """The largest divisor of ``number`` that is at most ``wanted`` (at least 1)."""
    return max(n for n in range(1, number + 1) if number % n == 0 and n <= max(1, wanted))


def pad_time(x: Tensor, multiple: int, dim: int) -> Tensor:
    """``x`` with zeros behind its last step, so that ``x.shape[dim]`` is a multiple (``dim`` is 2: ``(B,
    H, T, ...)``).
    """
    missing = -x.shape[dim] % multiple
    if not missing:
        return x
    return F.pad(x, (0, 0) * (x.dim() - 1 - dim) + (0, missing))


def cut(x: Tensor, size: int, dim: int) -> Tensor:
    """A view of ``x`` in which ``dim`` has become two: pieces, and ``size`` steps in each."""
    return x.view(*x.shape[:dim], -1, size, *x.shape[dim + 1 :])


def chunk_time(x: Tensor, chunk: int) -> Tensor:
    """``(B, H, T, ...)`` to ``(B, H, N, chunk, ...)``, padded with zeros."""
    return cut(pad_time(x, chunk, 2), chunk, 2)
