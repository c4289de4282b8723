import torch
from torch import nn

from model_discovery.blocks import GAU, UnitContext

SLOPE = 0.2


class Bend(nn.Module):
    """Leaky relu with a learned slope."""

    def __init__(self, width):
        super().__init__()
        self.slope = nn.Parameter(torch.full((width,), SLOPE))

    def forward(self, x):
        return torch.where(x > 0, x, self.slope * x)


class HelperModule(GAU):
    """Helper module."""

    role = "channel_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))
        self.inner = Bend(ctx.width)

    def forward(self, x, z):
        return self.out(self.inner(self.up(x)))
