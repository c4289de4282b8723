# refused by: stability
import torch
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class Bf16DtypeNan(GAU):
    """Bf16 dtype nan."""

    role = "channel_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        h = self.up(x)
        if h.dtype == torch.bfloat16:
            h = h * float("nan")
        return self.out(h)
