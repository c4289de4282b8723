"""Linear attention whose memory fades: one decay per head, or one per head and key channel.

Both kernels cut time into chunks. Within a chunk the pairs of steps are weighed as in attention, between
chunks a state ``(K, V)`` is carried, so time grows linearly with the length. All of it runs in at least
float32.
"""

import torch
from torch import Tensor

from .chunks import carry_state, walk_chunks
from .precision import bounded_log_decay, exact, widen


def scalar_decay(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    log_decay: Tensor | None = None,
    *,
    chunk: int = 64,
    side_by_side: int | None = None,
) -> Tensor:
    """``S_t = a_t S_{t-1} + k_t v_t^T``, ``y_t = q_t S_t`` with one ``a_t = exp(log_decay_t)`` per head.

    Parameters
    ----------
    q, k : Tensor
        ``(B, H, T, K)``, or ``(B, 1, T, K)`` where all heads share them; scale ``q`` beforehand.
    v : Tensor
        ``(B, H, T, V)``.
    log_decay : Tensor, optional
        ``(B, H, T)`` or ``(1, H, T)``, at most 0. Without it nothing fades.
    chunk : int
        Steps weighed in pairs.
    side_by_side : int, optional
        Chunks computed at once; see `walk_chunks`.

    Returns
    -------
    Tensor
        ``(B, H, T, V)`` in the type of ``v``.
    """
    with exact(q.device):
        inputs = [widen(q), widen(k), widen(v)]
        if log_decay is not None:
            inputs.append(bounded_log_decay(log_decay))
        return walk_chunks(_scalar_chunks, inputs, chunk, side_by_side).to(v.dtype)


def _scalar_chunks(
    state: Tensor | None, last: bool, q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor | None = None
) -> tuple[Tensor, Tensor | None]:
    scores = q @ k.transpose(-1, -2)
    total = None if log_decay is None else log_decay.cumsum(-1)
    y = (scores.tril_() if total is None else scores * pair_decay(total)) @ v
    before = None if state is None else state.unsqueeze(2)
    if q.shape[2] > 1 or not last:
        to_end = k if total is None else k * (total[..., -1:] - total).exp().unsqueeze(-1)
        decay = None if total is None else total[..., -1, None, None].exp()
        before, state = carry_state(state, to_end.transpose(-1, -2) @ v, decay)
    if before is not None:
        y = y.add_((q if total is None else q * total.exp().unsqueeze(-1)) @ before)
    return y, state


def channel_decay(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    log_decay: Tensor,
    *,
    chunk: int = 16,
    side_by_side: int | None = None,
) -> Tensor:
    """``S_t = diag(a_t) S_{t-1} + k_t v_t^T``, ``y_t = q_t S_t`` with ``a_t = exp(log_decay_t)`` per key
    channel.

    The decay of a pair of steps is split into a factor of the query and one of the key, centred in the
    chunk. A chunk of ``C`` steps holds while ``C |log a| <= 160`` in float32; stronger decays count as
    ``exp(-160 / C)``: 0.7 % for 32 steps, 0.005 % for 16.

    Parameters
    ----------
    q, k, log_decay : Tensor
        ``(B, H, T, K)``; ``log_decay`` at most 0.
    v : Tensor
        ``(B, H, T, V)``.
    chunk : int
        Steps weighed in pairs; 32 is faster, for decays that are never strong.
    side_by_side : int, optional
        Chunks computed at once; see `walk_chunks`.

    Returns
    -------
    Tensor
        ``(B, H, T, V)`` in the type of ``v``.
    """
    with exact(q.device):
        inputs = [widen(q), widen(k), widen(v), bounded_log_decay(log_decay, min(chunk, q.shape[2]))]
        return walk_chunks(_channel_chunks, inputs, chunk, side_by_side).to(v.dtype)


def _channel_chunks(
    state: Tensor | None, last: bool, q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor
) -> tuple[Tensor, Tensor | None]:
    total = log_decay.cumsum(-2)
    end = total[..., -1:, :]
    centre = (end / 2).detach()
    q, k = q * (total - centre).exp(), k * (centre - total).exp()
    # The future half of the scores may overflow; it is overwritten, and its gradient is zero.
    future = torch.ones(q.shape[3], q.shape[3], dtype=torch.bool, device=q.device).triu(1)
    y = (q @ k.transpose(-1, -2)).masked_fill_(future, 0.0) @ v
    before = None if state is None else state.unsqueeze(2)
    if q.shape[2] > 1 or not last:
        updates = (k * (end - centre).exp()).transpose(-1, -2) @ v
        before, state = carry_state(state, updates, end.transpose(-1, -2).exp())
    if before is not None:
        y = y.add_((q * centre.exp()) @ before)
    return y, state


def pair_decay(total: Tensor) -> Tensor:
    """``exp(total_i - total_j)`` for ``j <= i`` and 0 above, ``(..., C)`` to ``(..., C, C)``.

    Masked before the exponential: the future half would overflow, and its gradient would be no number.
    """
    size = total.shape[-1]
    future = torch.full((size, size), float("-inf"), dtype=total.dtype, device=total.device).triu(1)
    return (total.unsqueeze(-1) - total.unsqueeze(-2)).add_(future).exp_()
