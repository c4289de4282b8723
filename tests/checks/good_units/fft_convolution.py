import torch
from torch import nn
from torch.nn import functional as F

from model_discovery.blocks import GAU, UnitContext


class FftConvolution(GAU):
    """Fft convolution."""

    role = "sequence_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))
        self.decay = nn.Parameter(torch.linspace(-3.0, 3.0, ctx.width))

    def forward(self, x, z):
        T = x.shape[1]
        h = self.up(x)
        steps = torch.arange(T, device=x.device, dtype=torch.float32)
        kernel = torch.exp(-steps[:, None] * F.softplus(self.decay))
        f = torch.fft.rfft(h.float(), n=2 * T, dim=1) * torch.fft.rfft(kernel, n=2 * T, dim=0)
        return self.out(torch.fft.irfft(f, n=2 * T, dim=1)[:, :T].to(x.dtype))
