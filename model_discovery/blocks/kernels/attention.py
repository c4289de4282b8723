"""Softmax attention over the past: all of it, a window of it, or with an additive bias."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .heads import cut, pad_time
from .precision import exact, widen


def causal_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    bias: Tensor | None = None,
    key_bias: Tensor | None = None,
    scale: float | None = None,
) -> Tensor:
    """``y_t = sum_{s<=t} softmax_s(scale q_t k_s + bias_ts + key_bias_s) v_s``.

    Parameters
    ----------
    q : Tensor
        ``(B, H, T, D)``.
    k, v : Tensor
        ``(B, G, T, D)`` and ``(B, G, T, V)`` with ``G`` dividing ``H``: each of them serves ``H / G``
        query heads.
    bias : Tensor, optional
        Broadcastable to ``(B, H, T, T)``, added before the softmax; the future is masked whatever it holds.
        Needs memory for all pairs of steps.
    key_bias : Tensor, optional
        Broadcastable to ``(B, H, T)``: what a step adds to its score whoever asks. A softmax sees only
        differences, so this also holds biases that add up along the way, as ``-sum_{s<r<=t} a_r``: give
        ``cumsum(a)``. No memory for pairs; rounded as float32 rounds it, in half precision too.
    scale : float, optional
        Default ``D ** -0.5``.

    Returns
    -------
    Tensor
        ``(B, H, T, V)``.
    """
    k, v = _repeat_groups(k, q.shape[1]), _repeat_groups(v, q.shape[1])
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    if key_bias is not None:
        q, k = _with_key_bias(q * scale, k, key_bias)
        scale = 1.0
    width = v.shape[-1]
    q, k, v = _equally_wide(q, k, v)
    if bias is None:
        return _attend(q, k, v, None, scale)[..., :width]
    future = torch.ones(q.shape[2], q.shape[2], dtype=torch.bool, device=q.device).triu(1)
    return _attend(q, k, v, bias.to(q.dtype).masked_fill(future, float("-inf")), scale)[..., :width]


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
    y = _attend(queries, keys, values, allowed[None], scale)
    return cut(y, q.shape[1], 0).flatten(2, 3)[:, :, :length]


def _attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float | None) -> Tensor:
    """Torch's fused kernel, causal where there is no mask.

    On a processor always in float32: in bfloat16 its way back takes three times as long.
    """
    if q.device.type != "cpu":
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None, scale=scale)
    with exact(q.device):
        wide = widen(q), widen(k), widen(v)
        if mask is not None and mask.dtype != torch.bool:
            mask = mask.to(wide[0].dtype)
        y = F.scaled_dot_product_attention(*wide, attn_mask=mask, is_causal=mask is None, scale=scale)
    return y.to(v.dtype)


def _repeat_groups(x: Tensor, n_heads: int) -> Tensor:
    return x if x.shape[1] == n_heads else x.repeat_interleave(n_heads // x.shape[1], dim=1)


def _with_key_bias(q: Tensor, k: Tensor, key_bias: Tensor) -> tuple[Tensor, Tensor]:
    """Queries and keys with channels more, whose products are the bias of the key.

    Half precision would round a long cumulative sum to whole numbers; the sum of three of its numbers is as
    exact as float32.
    """
    key_bias = widen(key_bias).expand(k.shape[:3])
    parts = [key_bias]
    if key_bias.dtype == torch.float32:
        value = key_bias.detach()
        first = value.bfloat16().float()
        second = (value - first).bfloat16().float()
        third = value - first - second
        parts = [key_bias - (value - first), second, third]
    ones = q.new_ones(()).expand(*q.shape[:3], len(parts))
    return torch.cat((q, ones), -1), torch.cat((k, torch.stack(parts, -1).to(k.dtype)), -1)


def _equally_wide(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Padded with zeros to one width: the fused kernels know no other case."""
    missing = v.shape[-1] - k.shape[-1]
    if missing > 0:
        q, k = F.pad(q, (0, missing)), F.pad(k, (0, missing))
    return q, k, F.pad(v, (0, -missing)) if missing < 0 else v


def _with_previous_block(x: Tensor, block: int) -> Tensor:
    """``(B, H, T, D)`` to ``(B * H, N, 2 * block, D)``: every block behind its predecessor, the first
    behind zeros.
    """
    blocks = cut(F.pad(pad_time(x, block, 2), (0, 0, block, 0)), block, 2).flatten(0, 1)
    return torch.cat((blocks[:, :-1], blocks[:, 1:]), dim=2)
