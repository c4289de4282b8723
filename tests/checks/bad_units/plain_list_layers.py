# refused by: reload
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class PlainListLayers(GAU):
    """Plain list layers."""

    role = "channel_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))
        self.ls = [nn.Linear(ctx.width, ctx.width)]

    def forward(self, x, z):
        for l in self.ls:
            x = l(x)
        return self.out(self.up(x))
