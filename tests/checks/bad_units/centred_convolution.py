# refused by: causality
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class CentredConvolution(GAU):
    """Centred convolution."""

    role = "sequence_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.conv = nn.Conv1d(ctx.width, ctx.width, 3, padding=1, groups=ctx.width)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        h = self.conv(x.transpose(1, 2)).transpose(1, 2)
        return self.out(h)
