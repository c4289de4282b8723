"""Linear attention whose memory fades: one decay per head, or one per head and key channel.

Both kernels cut time into chunks. Within a chunk the pairs of steps are weighed as in attention, between
chunks a state ``(K, V)`` is carried, so time grows linearly with the length. All of it runs in at least
float32.
"""

import torch
from torch import Tensor

from .heads import chunk_time
from .precision import bounded_log_decay, exact, widen


def scalar_decay(
    q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor | None = None, *, chunk: int = 64
) -> Tensor:
    """``S_t = a_t S_{t-1} + k_t v_t^T``, ``y_t = q_t S_t`` with one ``a_t = exp(log_decay_t)`` per head.

    Parameters
    ----------
    q, k : Tensor
        ``(B, H, T, K)``; scale ``q`` beforehand.
    v : Tensor
        ``(B, H, T, V)``.
    log_decay : Tensor, optional
        ``(B, H, T)`` or ``(1, H, T)``, at most 0. Without it nothing fades.
    chunk : int
        Steps weighed in pairs.

    Returns
    -------
    Tensor
        ``(B, H, T, V)`` in the type of ``v``.
    """
    length = q.shape[2]
    chunk = min(chunk, length)
    with exact(q.device):
        queries, keys, values = (chunk_time(widen(x), chunk) for x in (q, k, v))
        scores = queries @ keys.transpose(-1, -2)
        if log_decay is None:
            y = scores.tril_() @ values
            states = chunk_states(keys.transpose(-1, -2) @ values, None)
        else:
            total = chunk_time(bounded_log_decay(log_decay), chunk).cumsum(-1)
            y = (scores * pair_decay(total)) @ values
            queries = queries * total.exp().unsqueeze(-1)
            keys = keys * (total[..., -1:] - total).exp().unsqueeze(-1)
            states = chunk_states(keys.transpose(-1, -2) @ values, total[..., -1, None, None].exp())
        y = y.add_(queries @ states)
    return y.flatten(2, 3)[:, :, :length].to(v.dtype)


def channel_decay(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, *, chunk: int = 16) -> Tensor:
    """``S_t = diag(a_t) S_{t-1} + k_t v_t^T``, ``y_t = q_t S_t`` with ``a_t = exp(log_decay_t)`` per key
    channel.

    The decay of a pair of steps is split into a factor of the query and one of the key, centred in the
    chunk. A chunk of ``C`` steps holds while ``C |log a| <= 160`` in float32; stronger decays count as
    ``exp(-160 / C)``, 5e-5 for 16 steps.

    Parameters
    ----------
    q, k, log_decay : Tensor
        ``(B, H, T, K)``; ``log_decay`` at most 0.
    v : Tensor
        ``(B, H, T, V)``.
    chunk : int
        Steps weighed in pairs; 16 to 32.

    Returns
    -------
    Tensor
        ``(B, H, T, V)`` in the type of ``v``.
    """
    length = q.shape[2]
    chunk = min(chunk, length)
    with exact(q.device):
        queries, keys, values = (chunk_time(widen(x), chunk) for x in (q, k, v))
        total = chunk_time(bounded_log_decay(log_decay, chunk), chunk).cumsum(-2)
        last = total[..., -1:, :]
        centre = (last / 2).detach()
        queries = queries * (total - centre).exp()
        keys = keys * (centre - total).exp()
        # The future half of the scores may overflow; it is overwritten, and its gradient is zero.
        future = torch.ones(chunk, chunk, dtype=torch.bool, device=q.device).triu(1)
        y = (queries @ keys.transpose(-1, -2)).masked_fill_(future, 0.0) @ values
        updates = (keys * (last - centre).exp()).transpose(-1, -2) @ values
        states = chunk_states(updates, last.transpose(-1, -2).exp())
        y = y.add_((queries * centre.exp()) @ states)
    return y.flatten(2, 3)[:, :, :length].to(v.dtype)


def pair_decay(total: Tensor) -> Tensor:
    """``exp(total_i - total_j)`` for ``j <= i`` and 0 above, ``(..., C)`` to ``(..., C, C)``.

    Masked before the exponential: the future half would overflow, and its gradient would be no number.
    """
    size = total.shape[-1]
    future = torch.full((size, size), float("-inf"), dtype=total.dtype, device=total.device).triu(1)
    return (total.unsqueeze(-1) - total.unsqueeze(-2)).add_(future).exp_()


def chunk_states(updates: Tensor, decay: Tensor | None) -> Tensor:
    """The state before every chunk: ``S_{n+1} = decay_n S_n + updates_n``, ``S_0 = 0``.

    ``updates`` is ``(B, H, N, K, V)``, ``decay`` broadcasts to it (``None`` stands for 1); the result has
    its shape.
    """
    steps = updates.unbind(2)
    state = torch.zeros_like(steps[0])
    states = [state]
    decays = None if decay is None else decay.unbind(2)
    for n, update in enumerate(steps[:-1]):
        state = state + update if decays is None else torch.addcmul(update, decays[n], state)
        states.append(state)
    return torch.stack(states, dim=2)
