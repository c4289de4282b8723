import torch
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class PositionFeature(GAU):
    """Position feature."""

    role = "channel_mixer"
    reads = ("positions",)

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))
        self.register_buffer("power", torch.linspace(0, 1, ctx.width))

    def forward(self, x, z):
        angle = z["positions"].to(x.dtype)[..., None] / 10000 ** self.power.to(x.dtype)
        return self.out(self.up(x) * torch.cos(angle))
