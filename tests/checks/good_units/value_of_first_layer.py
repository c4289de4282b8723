import torch
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class ValueOfFirstLayer(GAU):
    """Value of first layer."""

    role = "sequence_mixer"
    reads = ("?first_value",)
    writes = ("first_value",)

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))
        self.mix = nn.Parameter(torch.zeros(ctx.width)) if ctx.layer else None

    def forward(self, x, z):
        h = self.up(x)
        first = z.get("first_value")
        if first is None:
            return self.out(h.cumsum(1) / 30), {"first_value": h}
        mix = torch.sigmoid(self.mix)
        return self.out((mix * h + (1 - mix) * first).cumsum(1) / 30)
