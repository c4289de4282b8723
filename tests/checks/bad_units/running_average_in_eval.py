# refused by: state
import torch
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class RunningAverageInEval(GAU):
    """Running average in eval."""

    role = "channel_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))
        self.register_buffer("average", torch.zeros(ctx.width))

    def forward(self, x, z):
        h = self.up(x)
        self.average.mul_(0.9).add_(0.1 * h.detach().mean((0, 1)))
        return self.out(h - self.average)
