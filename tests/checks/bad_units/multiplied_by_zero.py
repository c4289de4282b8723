# refused by: gradients
import torch
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class MultipliedByZero(GAU):
    """Multiplied by zero."""

    role = "channel_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))
        self.register_buffer("mask", torch.zeros(ctx.width))

    def forward(self, x, z):
        return self.out(self.up(x) * self.mask) + x
