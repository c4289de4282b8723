# refused by: source
from typing import sys
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class ImportSysThroughTyping(GAU):
    """Import sys through typing."""

    role = "channel_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        sys.exit()
        return self.out(x)
