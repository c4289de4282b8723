# refused by: causality
import torch
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class OnlyAfterPosition300(GAU):
    """Only after position 300."""

    role = "sequence_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        h = self.up(x)
        if h.shape[1] > 301:
            h = torch.cat([h[:, :300], h[:, 300:].flip(1)], dim=1)
        return self.out(h)
