# refused by: reload
import torch
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class RandomProjectionNotStored(GAU):
    """Random projection not stored."""

    role = "channel_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))
        self.projection = torch.randn(ctx.width, ctx.width) / ctx.width**0.5

    def forward(self, x, z):
        return self.out(self.up(x @ self.projection.to(x)))
