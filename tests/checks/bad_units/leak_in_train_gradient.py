# refused by: causality
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class LeakInTrainGradient(GAU):
    """Leak in train gradient."""

    role = "sequence_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        h = self.up(x)
        if self.training:
            l = h.roll(-1, 1)
            h = h + l - l.detach()
        return self.out(h)
