"""Softmax attention over the past: all of it, a window of it, or with an additive bias."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .heads import cut, pad_time


def causal_attention(
    q: Tensor, k: Tensor, v: Tensor, *, bias: Tensor | None = None, scale: float | None = None
) -> Tensor:
    """``y_t = sum_{s<=t} softmax_s(scale q_t k_s + bias_ts) v_s``.

    Parameters
    ----------
    q : Tensor
        ``(B, H, T, D)``.
    k, v : Tensor
        ``(B, G, T, D)`` and ``(B, G, T, V)`` with ``G`` dividing ``H``: each of them serves ``H / G``
        query heads.
    bias : Tensor, optional
        Broadcastable to ``(B, H, T, T)``, added before the softmax; the future is masked whatever it holds.
    scale : float, optional
        Default ``D ** -0.5``.

    Returns
    -------
    Tensor
        ``(B, H, T, V)``.
    """
    k, v = _repeat_groups(k, q.shape[1]), _repeat_groups(v, q.shape[1])
    if bias is None:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale)
    future = torch.ones(q.shape[2], q.shape[2], dtype=torch.bool, device=q.device).triu(1)
    masked = bias.to(q.dtype).masked_fill(future, float("-inf"))
    return F.scaled_dot_product_attention(q, k, v, attn_mask=masked, scale=scale)


def window_attention(q: Tensor, k: Tensor, v: Tensor, *, window: int, scale: float | None = None) -> Tensor:
    """Causal attention over the last ``window`` steps, the present one included, in time O(T window).

    Blocks of queries look at their own block and the one before it; shapes as in `causal_attention`.
    """
    length = q.shape[2]
    if length <= window:
        return causal_attention(q, k, v, scale=scale)
    block = max(window, min(32, length))
    k, v = _repeat_groups(k, q.shape[1]), _repeat_groups(v, q.shape[1])
    queries = cut(pad_time(q, block, 2), block, 2).flatten(0, 1)
    keys, values = _with_previous_block(k, block), _with_previous_block(v, block)
    n_blocks = queries.shape[1]
    steps = torch.arange(n_blocks * block, device=q.device).view(n_blocks, block, 1)
    seen = steps[:, :1] - block + torch.arange(2 * block, device=q.device)
    allowed = (seen >= 0) & (seen <= steps) & (steps - seen < window)
    y = F.scaled_dot_product_attention(queries, keys, values, attn_mask=allowed[None], scale=scale)
    return cut(y, q.shape[1], 0).flatten(2, 3)[:, :, :length]


def _repeat_groups(x: Tensor, n_heads: int) -> Tensor:
    return x if x.shape[1] == n_heads else x.repeat_interleave(n_heads // x.shape[1], dim=1)


def _with_previous_block(x: Tensor, block: int) -> Tensor:
    """``(B, H, T, D)`` to ``(B * H, N, 2 * block, D)``: every block behind its predecessor, the first
    behind zeros.
    """
    blocks = cut(F.pad(pad_time(x, block, 2), (0, 0, block, 0)), block, 2).flatten(0, 1)
    return torch.cat((blocks[:, :-1], blocks[:, 1:]), dim=2)
