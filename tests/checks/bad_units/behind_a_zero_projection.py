# refused by: causality
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class BehindAZeroProjection(GAU):
    """Behind a zero projection."""

    role = "sequence_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))
        self.side = nn.Linear(ctx.width, ctx.width, bias=False)
        nn.init.zeros_(self.side.weight)

    def forward(self, x, z):
        h = self.up(x)
        return self.out(h + self.side(h.flip(1)))
