# refused by: batch_independence
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class InstanceNormBatchTrain(GAU):
    """Instance norm batch train."""

    role = "channel_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        h = self.up(x)
        if self.training and h.shape[0] > 1:
            h = h - h.mean(0, keepdim=True).detach()
        return self.out(h)
