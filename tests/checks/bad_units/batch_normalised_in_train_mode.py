# refused by: batch_independence
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class BatchNormalisedInTrainMode(GAU):
    """Batch normalised in train mode."""

    role = "channel_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        h = self.up(x)
        if self.training:
            h = h / (h.square().mean(0, keepdim=True).sqrt() + 1e-5)
        return self.out(h)
