"""The delta rule: a memory that replaces what it held under a key instead of adding to it."""

import torch
from torch import Tensor

from .decay import pair_decay
from .heads import chunk_time
from .precision import bounded_log_decay, exact, widen


def delta_rule(
    q: Tensor, k: Tensor, v: Tensor, beta: Tensor, log_decay: Tensor | None = None, *, chunk: int = 32
) -> Tensor:
    """``S_t = a_t (I - beta_t k_t k_t^T) S_{t-1} + beta_t k_t v_t^T``, ``y_t = q_t S_t``.

    What a step writes depends on what the steps before it wrote: one unit triangular system a chunk,
    ``u_t = beta_t (v_t - a_t k_t S_{t-1})``, solved for all chunks at once; then the states are carried
    along. In at least float32 throughout.

    Parameters
    ----------
    q, k : Tensor
        ``(B, H, T, K)``; keys of norm at most 1 keep the memory bounded.
    v : Tensor
        ``(B, H, T, V)``.
    beta : Tensor
        ``(B, H, T)``, the writing strength, in [0, 1] (to 2: negative eigenvalues).
    log_decay : Tensor, optional
        ``(B, H, T)``, at most 0. Without it nothing fades.
    chunk : int
        Steps solved together.

    Returns
    -------
    Tensor
        ``(B, H, T, V)`` in the type of ``v``.

    Source: Yang 2024, arXiv 2406.06484 and arXiv 2412.06464.
    """
    length = q.shape[2]
    chunk = min(chunk, length)
    if log_decay is None:
        log_decay = torch.zeros_like(beta)
    with exact(q.device):
        queries, keys, values = (chunk_time(widen(x), chunk) for x in (q, k, v))
        strength = chunk_time(widen(beta), chunk)
        total = chunk_time(bounded_log_decay(log_decay), chunk).cumsum(-1)
        decay, since_start = pair_decay(total), total.exp().unsqueeze(-1)
        overlap = (keys @ keys.transpose(-1, -2) * decay * strength.unsqueeze(-1)).tril_(-1)
        # The inverse is C x C, smaller than the right-hand side (C x (K + V)): solving for it is the
        # cheaper way.
        inverse = torch.linalg.solve_triangular(
            overlap, torch.diag_embed(strength), upper=False, unitriangular=True
        )
        written, erased = inverse @ values, inverse @ (keys * since_start)
        to_end = (keys * (total[..., -1:] - total).exp().unsqueeze(-1)).transpose(-1, -2)
        written, states = _carry(written, erased, to_end, total[..., -1, None, None].exp())
        y = (queries @ keys.transpose(-1, -2) * decay) @ written
        y = y.add_((queries * since_start) @ states)
    return y.flatten(2, 3)[:, :, :length].to(v.dtype)


def _carry(written: Tensor, erased: Tensor, keys: Tensor, decay: Tensor) -> tuple[Tensor, Tensor]:
    """What every step writes given the state before its chunk, ``(B, H, N, C, V)``, and those states ``(B,
    H, N, K, V)``.
    """
    all_written, states = [], []
    state = torch.zeros_like(keys[:, :, 0] @ written[:, :, 0])
    chunks = zip(written.unbind(2), erased.unbind(2), keys.unbind(2), decay.unbind(2), strict=True)
    for values, queries, to_end, fade in chunks:
        fresh = values - queries @ state
        all_written.append(fresh)
        states.append(state)
        state = torch.addcmul(to_end @ fresh, fade, state)
    return torch.stack(all_written, dim=2), torch.stack(states, dim=2)
