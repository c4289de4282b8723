# refused by: source
import torch
from torch import nn
from torch.nn import functional as F

from model_discovery.blocks import GAU, UnitContext


class DynamicClass(GAU):
    """Dynamic class."""

    role = "channel_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        kind = type("Net", (nn.Linear,), {})
        self.out = kind(ctx.width, ctx.width)

    def forward(self, x, z):
        return self.out(x)
