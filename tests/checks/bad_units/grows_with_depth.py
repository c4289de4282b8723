# refused by: stability
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class GrowsWithDepth(GAU):
    """Grows with depth."""

    role = "channel_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))
        nn.init.eye_(self.out.weight)

    def forward(self, x, z):
        return self.out(x) * 4 * x.square().mean(-1, keepdim=True).sqrt().clamp_min(1) + self.up(x)
