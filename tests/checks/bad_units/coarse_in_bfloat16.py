# refused by: stability
import torch
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class CoarseInBfloat16(GAU):
    """Coarse in bfloat16."""

    role = "channel_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        return self.out(torch.sin(200.0 * self.up(x)))
