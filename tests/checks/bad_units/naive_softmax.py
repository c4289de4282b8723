# refused by: stability
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class NaiveSoftmax(GAU):
    """Naive softmax."""

    role = "channel_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        e = self.up(x).mul(2).exp()
        return self.out(e / e.sum(-1, keepdim=True))
