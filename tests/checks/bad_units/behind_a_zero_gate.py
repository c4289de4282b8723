# refused by: causality
import torch
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class BehindAZeroGate(GAU):
    """Behind a zero gate."""

    role = "sequence_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))
        self.gate = nn.Parameter(torch.zeros(()))

    def forward(self, x, z):
        h = self.up(x)
        return self.out(h + self.gate * h.mean(1, keepdim=True))
