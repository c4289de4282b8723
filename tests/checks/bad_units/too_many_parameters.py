# refused by: sizing
import torch
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class TooManyParameters(GAU):
    """Too many parameters."""

    role = "channel_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.table = nn.Parameter(torch.zeros(ctx.width, 4096, ctx.width))

    def forward(self, x, z):
        return torch.einsum("btd,dhe->bte", x, self.table)
