# refused by: causality
import torch
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class LastTokenOnly(GAU):
    """Last token only."""

    role = "sequence_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        h = self.up(x)
        return self.out(
            torch.cat([h[:, :-1], h[:, -1:] + h[:, :1]], 1)
            if h.shape[1] < 3
            else torch.cat([h[:, :1] + h[:, -1:], h[:, 1:]], 1)
        )
