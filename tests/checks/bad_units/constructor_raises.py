# refused by: build
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class ConstructorRaises(GAU):
    """Constructor raises."""

    role = "channel_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.out = nn.Linear(ctx.width, 0 // (ctx.width - ctx.width))

    def forward(self, x, z):
        return self.out(x)
