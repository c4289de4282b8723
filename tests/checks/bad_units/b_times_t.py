# refused by: forward
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class BTimesT(GAU):
    """B times t."""

    role = "channel_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        h = self.up(x).reshape(-1, 8, x.shape[-1])
        return self.out(h).reshape(x.shape)
