# refused by: source
import torch
from torch import nn
from torch.nn import functional as F

from model_discovery.blocks import GAU, UnitContext, UnitConfig, Field


class StringAnnotation(GAU):
    """String annotation."""

    role = "channel_mixer"

    class Config(UnitConfig):
        heads: "int if print('here') else int" = 4

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        return self.out(self.up(x))
