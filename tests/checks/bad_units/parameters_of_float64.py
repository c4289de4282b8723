# refused by: build
import torch
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class ParametersOfFloat64(GAU):
    """Parameters of float64."""

    role = "channel_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, dtype=torch.float64)

    def forward(self, x, z):
        return self.up(x.double()).to(x.dtype)
