# refused by: stability
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class NanInBfloat16(GAU):
    """Nan in bfloat16."""

    role = "channel_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        h = self.up(x)
        gap = (h + 1e-3) - h + (self.up(x).float() - h.float())
        return self.out(h * 1e-3 / gap.float().sign().clamp_min(0.0))
