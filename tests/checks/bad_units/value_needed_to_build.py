# refused by: build
import torch
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class ValueNeededToBuild(GAU):
    """Value needed to build."""

    role = "channel_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.scale = nn.Parameter(torch.ones(ctx.width))
        self.gain = float(self.scale.sum()) + torch.linspace(0, 1, 3).tolist()[1]

    def forward(self, x, z):
        return self.gain * self.scale * x
