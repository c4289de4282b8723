# refused by: determinism
import torch
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class NoiseInEval(GAU):
    """Noise in eval."""

    role = "channel_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        return self.out(self.up(x) + 0.1 * torch.randn_like(x))
