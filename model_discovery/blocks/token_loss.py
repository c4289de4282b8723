"""The mean loss over a large vocabulary; its logits are made, used and dropped by rows, never held whole.

The gradient of some rows is made while their logits are at hand and multiplied back to the states and to the
head at once, so nothing that is vocabulary times tokens outlives its rows.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

IGNORED = -100
# Logits, 16 MB, on a processor: fewer are slower, as each time all of the head is gone through.
AT_ONCE = 1 << 22
AT_ONCE_ON_CARD = 1 << 26


def token_loss(states: Tensor, head: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of ``states @ head.T`` in nats per token, a float32 scalar (float64 for float64).

    Parameters
    ----------
    states
        ``(N, D)``.
    head
        ``(V, D)``. Under autocast the products are in its precision; softmax and sums over rows in float32.
    labels
        ``(N,)``; -100 is ignored. Where all are, the loss is not a number, as that of ``F.cross_entropy``.
    """
    kind = states.device.type
    if torch.is_autocast_enabled(kind):
        narrow = torch.get_autocast_dtype(kind)
        states, head = states.to(narrow), head.to(narrow)
    with torch.autocast(kind, enabled=False):
        loss: Tensor = _TokenLoss.apply(states, head, labels)  # type: ignore[no-untyped-call]
    return loss


class _TokenLoss(torch.autograd.Function):
    """The gradient is made on the way forward, and only scaled on the way back."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, head: Tensor, labels: Tensor) -> Tensor:
        counted = (labels != IGNORED).sum()
        wide = torch.promote_types(head.dtype, torch.float32)
        rows = max(1, (AT_ONCE if states.device.type == "cpu" else AT_ONCE_ON_CARD) // len(head))
        to_states, to_head = torch.empty_like(states), torch.zeros_like(head, dtype=wide)
        loss = torch.zeros((), dtype=wide, device=states.device)
        pieces = zip(*(torch.split(x, rows) for x in (states, labels, to_states)), strict=True)
        for piece, asked, to_piece in pieces:
            part, slope = _piece(F.linear(piece, head).to(wide), asked, counted)
            loss += part
            slope = slope.to(head.dtype)
            torch.mm(slope, head, out=to_piece)
            if head.dtype == wide:
                to_head.addmm_(slope.t(), piece)
            else:
                to_head += slope.t() @ piece
        ctx.save_for_backward(to_states, to_head.to(head.dtype))
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        to_states, to_head = ctx.saved_tensors
        return to_states * grad.to(to_states.dtype), to_head * grad.to(to_head.dtype), None


def _piece(logits: Tensor, labels: Tensor, counted: Tensor) -> tuple[Tensor, Tensor]:
    """What some rows add to the mean loss, and its gradient with respect to their logits."""
    index = labels.clamp(min=0)[:, None]
    weights = (labels != IGNORED).to(logits.dtype)[:, None] / counted
    odds = F.log_softmax(logits, dim=-1)
    loss = -(odds.gather(1, index) * weights).sum()
    slope = odds.exp_().mul_(weights).scatter_add_(1, index, -weights)
    return loss, slope
