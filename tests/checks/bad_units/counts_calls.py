# refused by: state
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class CountsCalls(GAU):
    """Counts calls."""

    role = "channel_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))
        self.calls = 0

    def forward(self, x, z):
        self.calls += 1
        return self.out(self.up(x)) / self.calls
