import torch
from torch import nn
from torch.nn import functional as F

from model_discovery.blocks import GAU, UnitContext


class ZeroGate(GAU):
    """Zero gate."""

    role = "sequence_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))
        self.gate = nn.Parameter(torch.zeros(ctx.width))

    def forward(self, x, z):
        h = self.up(x)
        return self.out(h + self.gate * F.pad(h, (0, 0, 1, 0))[:, :-1])
