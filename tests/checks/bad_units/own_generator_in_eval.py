# refused by: state
import torch
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class OwnGeneratorInEval(GAU):
    """Own generator in eval."""

    role = "channel_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))
        self.source = torch.Generator().manual_seed(0)

    def forward(self, x, z):
        return self.out(self.up(x) + torch.randn(x.shape, generator=self.source).to(x))
