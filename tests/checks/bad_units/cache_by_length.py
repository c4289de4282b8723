# refused by: state
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class CacheByLength(GAU):
    """Cache by length."""

    role = "channel_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))
        self.c = {}

    def forward(self, x, z):
        h = self.up(x)
        T = x.shape[1]
        if T not in self.c:
            self.c[T] = h.mean((0, 1)).detach()
        return self.out(h + self.c[T])
