# refused by: batch_independence
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class BatchNorm(GAU):
    """Batch norm."""

    role = "channel_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))
        self.norm = nn.BatchNorm1d(ctx.width)

    def forward(self, x, z):
        h = self.norm(self.up(x).transpose(1, 2)).transpose(1, 2)
        return self.out(h)
