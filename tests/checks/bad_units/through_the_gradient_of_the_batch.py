# refused by: batch_independence
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class ThroughTheGradientOfTheBatch(GAU):
    """Through the gradient of the batch."""

    role = "channel_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        h = self.up(x)
        other = h.roll(1, dims=0)
        return self.out(h + other - other.detach())
