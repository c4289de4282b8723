# refused by: stability
import torch
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class BackwardOverflowsAtLargeInputs(GAU):
    """Backward overflows at large inputs."""

    role = "channel_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        h = self.up(x.square())
        return self.out(
            torch.where(h > 10, torch.ones_like(h), h.exp().square().square().square()).clamp(max=2)
        )
