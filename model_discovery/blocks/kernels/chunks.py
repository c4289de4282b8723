"""Walking along time in chunks while a state is carried."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .heads import chunk_time

CACHED = 2**17
"""Numbers of an input that are worked on at a time on a CPU."""

Body = Callable[..., tuple[Tensor, Tensor | None]]
"""``body(state, last, *inputs) -> (y, state)``: inputs and ``y`` are ``(B, H, N, C, ...)``, the state
``(B, H, K, V)``.

``state`` is ``None`` at the start; nothing reads the state that the ``last`` call returns.
"""


def walk_chunks(body: Body, inputs: Sequence[Tensor], chunk: int, side_by_side: int | None) -> Tensor:
    """``body`` over ``inputs (B, H, T, ...)``, ``side_by_side`` chunks at a time; returns ``(B, H, T, V)``.

    By default all of them on an accelerator, which many chunks keep busy, and on a CPU as many as stay in
    its cache. The last chunk may be short.
    """
    batch, n_heads, length = inputs[-1].shape[:3]
    chunk = min(chunk, length)
    if side_by_side is None:
        size = batch * n_heads * chunk * inputs[0].shape[-1]
        side_by_side = max(1, CACHED // size) if inputs[0].device.type == "cpu" else -(-length // chunk)
    stretch = chunk * side_by_side
    outputs: list[Tensor] = []
    state: Tensor | None = None
    for pieces in zip(*(torch.split(x, stretch, dim=2) for x in inputs), strict=True):
        size = pieces[0].shape[2]
        last = len(outputs) * stretch + size == length
        y, state = body(state, last, *(chunk_time(piece, min(chunk, size)) for piece in pieces))
        outputs.append(y.flatten(2, 3)[:, :, :size])
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=2)


def carry_state(state: Tensor | None, updates: Tensor, decay: Tensor | None) -> tuple[Tensor | None, Tensor]:
    """States before every chunk, and after the last one: ``S_{n+1} = decay_n S_n + updates_n``.

    ``updates`` is ``(B, H, N, K, V)``, ``decay`` broadcasts to it and ``None`` stands for 1. The states
    before are ``(B, H, N, K, V)``, or ``None`` when there is one chunk and nothing before it.
    """
    start = state
    before: list[Tensor] = []
    for n, update in enumerate(updates.unbind(2)):
        before.append(torch.zeros_like(update) if state is None else state)
        if state is None:
            state = update
        elif decay is None:
            state = state + update
        else:
            state = torch.addcmul(update, decay[:, :, n], state)
    assert state is not None
    if len(before) > 1:
        return torch.stack(before, dim=2), state
    return None if start is None else start.unsqueeze(2), state
