# refused by: device
import torch
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class TensorAttr(GAU):
    """Tensor attr."""

    role = "channel_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))
        self.t = torch.linspace(0.0, 1.0, ctx.width)

    def forward(self, x, z):
        return self.out(self.up(x) * self.t)
