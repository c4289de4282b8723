import torch
from torch import nn
from torch.nn import functional as F

from model_discovery.blocks import GAU, UnitContext


class ScalarGate(GAU):
    """Scalar gate."""

    role = "channel_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))
        self.gate = nn.Linear(ctx.width, 1)

    def forward(self, x, z):
        gate = torch.sigmoid(self.gate(x))
        return self.out(gate * F.silu(self.up(x)))
