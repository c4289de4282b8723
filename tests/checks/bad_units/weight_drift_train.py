# refused by: state
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class WeightDriftTrain(GAU):
    """Weight drift train."""

    role = "channel_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        if self.training:
            self.up.weight.data.mul_(1.01)
        return self.out(self.up(x))
