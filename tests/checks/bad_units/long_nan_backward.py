# refused by: stability
import torch
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class LongNanBackward(GAU):
    """Long nan backward."""

    role = "sequence_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        h = self.up(x)
        if h.shape[1] > 900:
            h = torch.where(h > 1e9, h.sqrt(), h)
        return self.out(h)
