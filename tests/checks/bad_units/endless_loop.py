# refused by: timeout
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class EndlessLoop(GAU):
    """Endless loop."""

    role = "channel_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        while True:
            x = x + 0
        return self.out(x)
