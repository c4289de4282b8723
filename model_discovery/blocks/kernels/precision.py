"""Where autocast may not go: decays, cumulative sums and solves stay in float32."""

import torch
from torch import Tensor


def exact(device: torch.device) -> torch.autocast:
    """A context in which autocast leaves products in the precision of their operands.

    A device without autocast (``meta``) has nothing to switch off; it gets the context of the CPU, which
    does no harm.
    """
    kind = device.type if torch.amp.is_autocast_available(device.type) else "cpu"
    return torch.autocast(kind, enabled=False)


def widen(x: Tensor) -> Tensor:
    """``x`` in at least float32: bfloat16 and float16 are widened, float64 stays."""
    return x if x.dtype == torch.float64 else x.float()


def bounded_log_decay(log_decay: Tensor, span: float = 0.0) -> Tensor:
    """Log decays cut at a floor below which a step forgets everything anyway, widened by `widen`.

    A cumulative sum loses the digits that its large terms use up, and ``-inf - -inf`` is no number.
    ``e**-20`` (float32) and ``e**-50`` (float64) are below the rounding of a sum, so the cut shows in no
    result.

    Parameters
    ----------
    log_decay : Tensor
        Any shape, at most 0.
    span : float
        Number of steps whose decays must fit into one exponent, 0 where only differences are taken: with
        centring the range is ``e**160`` in float32 and ``e**1400`` in float64, so the floor rises to
        ``-160 / span``.
    """
    log_decay = widen(log_decay)
    floor, room = (50.0, 1400.0) if log_decay.dtype == torch.float64 else (20.0, 160.0)
    return log_decay.clamp(min=-min(floor, room / span if span else floor))
