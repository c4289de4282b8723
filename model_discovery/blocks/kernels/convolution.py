"""Causal convolutions along time: long ones by FFT, short depthwise ones by shifts."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .precision import exact, widen


def long_convolution(x: Tensor, kernel: Tensor) -> Tensor:
    """``y_t = sum_{s<=t} kernel_s x_{t-s}`` for every channel, by FFT in float32 (float64 for a float64
    input).

    Parameters
    ----------
    x : Tensor
        ``(B, T, D)``.
    kernel : Tensor
        ``(D, K)`` with ``K <= T``; the present step's weight comes first.

    Returns
    -------
    Tensor
        ``(B, T, D)`` in the type of ``x``. Rounding spreads over all steps, the future ones too: about
        1e-7 of the largest value in float32.
    """
    length = x.shape[1]
    size = _fft_size(length + kernel.shape[1] - 1)
    with exact(x.device):
        signal = torch.fft.rfft(widen(x).transpose(1, 2), n=size)
        response = torch.fft.rfft(kernel.to(widen(x).dtype), n=size)
        y: Tensor = torch.fft.irfft(signal * response, n=size)[..., :length]
    return y.transpose(1, 2).to(x.dtype)


def depthwise_convolution(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``y_t = bias + sum_{s<W} weight_s x_{t-s}`` for every channel.

    Parameters
    ----------
    x : Tensor
        ``(B, T, D)``.
    weight : Tensor
        ``(W, D)``, the present step first.
    bias : Tensor, optional
        ``(D,)``.
    """
    # As an image of height 1 whose channels lie closest in memory: the fastest of five ways on a CPU.
    image = F.pad(x, (0, 0, weight.shape[0] - 1, 0)).transpose(1, 2).unsqueeze(2)
    taps = weight.to(x.dtype).t().flip(-1)[:, None, None]
    y = F.conv2d(image, taps, None if bias is None else bias.to(x.dtype), groups=x.shape[2])
    return y.squeeze(2).transpose(1, 2).to(x.dtype)


def token_shift(x: Tensor) -> Tensor:
    """``y_t = x_{t-1}`` with ``y_0 = 0``, for ``x (B, T, D)``."""
    return F.pad(x, (0, 0, 1, 0))[:, :-1]


def exponential_kernel(
    rate: Tensor, frequency: Tensor, real: Tensor, imaginary: Tensor, length: int
) -> Tensor:
    """The impulse response ``K_t = sum_n Re((real_n + i imaginary_n) exp((-rate_n + i frequency_n) t))``.

    The exponentials of ``t = p c + q`` factor into those of ``p c`` and ``q``, so ``2 sqrt(T)`` of them
    and one product of matrices make all ``T`` steps: O(D N sqrt(T)) exponentials, O(D N T) multiplications.

    Parameters
    ----------
    rate, frequency, real, imaginary : Tensor
        ``(D, N)``, ``rate >= 0``.
    length : int
        Number of steps ``T``.

    Returns
    -------
    Tensor
        ``(D, T)``, in at least float32.
    """
    with exact(rate.device):
        rate, frequency, real, imaginary = widen(rate), widen(frequency), widen(real), widen(imaginary)
        inner = max(1, int(length**0.5))
        outer = -(-length // inner)
        coarse = torch.arange(outer, device=rate.device, dtype=rate.dtype)[:, None] * inner
        fine = torch.arange(inner, device=rate.device, dtype=rate.dtype)
        size, angle = torch.exp(-rate[:, None] * coarse), frequency[:, None] * coarse
        cos, sin = size * angle.cos(), size * angle.sin()
        left = torch.cat(
            (real[:, None] * cos - imaginary[:, None] * sin, real[:, None] * sin + imaginary[:, None] * cos),
            -1,
        )
        size, angle = torch.exp(-rate[..., None] * fine), frequency[..., None] * fine
        right = torch.cat((size * angle.cos(), -size * angle.sin()), 1)
        return (left @ right).flatten(1)[:, :length]


def _fft_size(least: int) -> int:
    """The smallest ``2**k`` or ``3 * 2**k`` that is not below ``least``: sizes with large factors are
    slow.
    """
    power = 1 << (least - 1).bit_length()
    return power * 3 // 4 if power * 3 // 4 >= least and power >= 4 else power
