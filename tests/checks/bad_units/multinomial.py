# refused by: determinism
import torch
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class Multinomial(GAU):
    """Multinomial."""

    role = "channel_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        p = self.up(x).softmax(-1)
        i = torch.multinomial(p.reshape(-1, p.shape[-1]), 1).reshape(*x.shape[:2], 1)
        return self.out(torch.zeros_like(x).scatter(-1, i, 1.0) + x)
