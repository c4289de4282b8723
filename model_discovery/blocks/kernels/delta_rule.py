"""The delta rule: a memory that replaces what it held under a key instead of adding to it."""

import torch
from torch import Tensor

from .chunks import walk_chunks
from .decay import pair_decay
from .precision import bounded_log_decay, exact, widen


def delta_rule(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    beta: Tensor,
    log_decay: Tensor | None = None,
    *,
    chunk: int = 32,
    side_by_side: int | None = None,
) -> Tensor:
    """``S_t = a_t (I - beta_t k_t k_t^T) S_{t-1} + beta_t k_t v_t^T``, ``y_t = q_t S_t``.

    What a step writes depends on what the steps before it wrote: one unit triangular system a chunk for
    ``u_t = beta_t (v_t - a_t k_t S_{t-1})``. In at least float32 throughout.

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
    side_by_side : int, optional
        Chunks computed at once; see `walk_chunks`.

    Returns
    -------
    Tensor
        ``(B, H, T, V)`` in the type of ``v``.

    Source: Yang 2024, arXiv 2406.06484 and arXiv 2412.06464.
    """
    if log_decay is None:
        log_decay = torch.zeros_like(beta)
    with exact(q.device):
        inputs = [widen(q), widen(k), widen(v), widen(beta), bounded_log_decay(log_decay)]
        return walk_chunks(_delta_chunks, inputs, chunk, side_by_side).to(v.dtype)


def _delta_chunks(
    state: Tensor | None, last: bool, q: Tensor, k: Tensor, v: Tensor, beta: Tensor, log_decay: Tensor
) -> tuple[Tensor, Tensor | None]:
    total = log_decay.cumsum(-1)
    decay, since_start = pair_decay(total), total.exp().unsqueeze(-1)
    overlap = (k @ k.transpose(-1, -2) * decay * beta.unsqueeze(-1)).tril_(-1)
    # The inverse is C x C, smaller than the right-hand side (C x (K + V)): solving for it is the cheaper way.
    inverse = torch.linalg.solve_triangular(overlap, torch.diag_embed(beta), upper=False, unitriangular=True)
    written = inverse @ v
    to_end = (k * (total[..., -1:] - total).exp().unsqueeze(-1)).transpose(-1, -2)
    fade = total[..., -1, None, None].exp()
    if state is None and q.shape[2] == 1:
        state = None if last else (to_end @ written).squeeze(2)
        return (q @ k.transpose(-1, -2) * decay) @ written, state
    erased = inverse @ (k * since_start)
    written, before, state = _write(state, written, erased, to_end, fade)
    y = (q @ k.transpose(-1, -2) * decay) @ written
    return y.add_((q * since_start) @ before), state


def _write(
    state: Tensor | None, written: Tensor, erased: Tensor, keys: Tensor, fade: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """What every step writes given the state before its chunk, ``(B, H, N, C, V)``; those states; the last
    state.
    """
    if state is None:
        state = torch.zeros_like(keys[:, :, 0] @ written[:, :, 0])
    all_written, before = [], []
    chunks = zip(written.unbind(2), erased.unbind(2), keys.unbind(2), fade.unbind(2), strict=True)
    for values, queries, to_end, kept in chunks:
        fresh = values - queries @ state
        all_written.append(fresh)
        before.append(state)
        state = torch.addcmul(to_end @ fresh, kept, state)
    return torch.stack(all_written, dim=2), torch.stack(before, dim=2), state
