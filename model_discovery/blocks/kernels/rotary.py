"""Rotary positions: pairs of channels turned by an angle that grows with the position."""

import torch
from torch import Tensor

from .precision import exact


def rotary_angles(
    x: Tensor, head_dim: int, *, base: float = 10000.0, positions: Tensor | None = None
) -> Tensor:
    """Angles ``(T, head_dim / 2)``; ``(B, 1, T, head_dim / 2)`` with ``positions (B, T)``, one for all rows
    if these are one row expanded.

    ``x`` is ``(..., T, D)`` and lends its length, device and, when it is float64, its precision. The table
    is made anew in every forward: a buffer would not survive a model that is built on the meta device.

    Source: Su 2021, arXiv 2104.09864.
    """
    dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
    exponent = torch.arange(0, head_dim, 2, device=x.device, dtype=dtype) / head_dim
    if positions is None:
        time = torch.arange(x.shape[-2], device=x.device, dtype=dtype)
    else:
        shared = len(positions) > 1 and positions.stride(0) == 0  # one row, expanded: one table
        time = (positions[:1] if shared else positions).to(dtype)[:, None]
    return time[..., None] * base**-exponent


def apply_rotary(x: Tensor, angles: Tensor) -> Tensor:
    """Turn the halves of ``x (B, H, T, D)`` against each other: ``(a cos - b sin, b cos + a sin)``."""
    with exact(x.device):
        cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
        crossed = x.roll(x.shape[-1] // 2, dims=-1)
        return x * torch.cat((cos, cos), dim=-1) + crossed * torch.cat((-sin, sin), dim=-1)
