import torch
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class HashedFeatures(GAU):
    """Hashed features."""

    role = "channel_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))
        self.register_buffer("phase", torch.arange(ctx.width, dtype=torch.float32))

    def forward(self, x, z):
        phase = torch.frac(torch.sin(self.phase) * 43758.5453)
        return self.out(torch.cos(self.up(x) + 6.28 * phase.to(x.dtype)))
