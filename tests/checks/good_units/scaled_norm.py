import torch
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class ScaledNorm(GAU):
    """Scaled norm."""

    role = "norm"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.gain = nn.Parameter(torch.ones(ctx.width))

    def forward(self, x, z):
        return self.gain * x / (x.norm(dim=-1, keepdim=True) * x.shape[-1] ** -0.5 + 1e-6)
