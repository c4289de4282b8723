# refused by: causality
import torch
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class CircularFft(GAU):
    """Circular fft."""

    role = "sequence_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.kernel = nn.Parameter(torch.zeros(8))
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        f = torch.fft.irfft(
            torch.fft.rfft(self.up(x), dim=1)
            * torch.fft.rfft(self.kernel.exp(), n=x.shape[1], dim=0)[:, None],
            n=x.shape[1],
            dim=1,
        )
        return self.out(f)
