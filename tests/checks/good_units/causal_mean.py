import torch
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class CausalMean(GAU):
    """Causal mean."""

    role = "sequence_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        h = self.up(x)
        steps = torch.arange(1, x.shape[1] + 1, device=x.device, dtype=x.dtype)
        return self.out(h.cumsum(1) / steps[:, None])
