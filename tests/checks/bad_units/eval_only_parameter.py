# refused by: gradients
import torch
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class EvalOnlyParameter(GAU):
    """Eval only parameter."""

    role = "channel_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))
        self.s = nn.Parameter(torch.ones(ctx.width))

    def forward(self, x, z):
        h = self.up(x)
        return self.out(h if self.training else h * self.s)
