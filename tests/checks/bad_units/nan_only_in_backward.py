# refused by: gradients
import torch
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class NanOnlyInBackward(GAU):
    """Nan only in backward."""

    role = "channel_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        h = self.up(x)
        return self.out(torch.where(h > 0, h.sqrt(), torch.zeros_like(h)))
