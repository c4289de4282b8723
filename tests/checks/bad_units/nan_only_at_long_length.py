# refused by: stability
import torch
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class NanOnlyAtLongLength(GAU):
    """Nan only at long length."""

    role = "sequence_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        h = self.up(x)
        if x.shape[1] > 1000:
            h = h / torch.zeros_like(h)
        return self.out(h)
