# refused by: memory
import torch
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class MemoryBomb(GAU):
    """Memory bomb."""

    role = "channel_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        kept = [x]
        for _ in range(1_000_000):
            kept.append(torch.ones(4_000_000))
        return self.out(x)
