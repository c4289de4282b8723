# refused by: causality
import torch
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class NormOverTime(GAU):
    """Norm over time."""

    role = "norm"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.gain = nn.Parameter(torch.ones(ctx.width))

    def forward(self, x, z):
        return self.gain * x * torch.rsqrt(x.square().mean((1, 2), keepdim=True) + 1e-6)
