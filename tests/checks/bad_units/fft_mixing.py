# refused by: causality
import torch
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class FftMixing(GAU):
    """Fft mixing."""

    role = "sequence_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        return self.out(torch.fft.fft(self.up(x), dim=1).real / x.shape[1] ** 0.5)
