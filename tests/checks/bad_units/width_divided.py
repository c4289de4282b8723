# refused by: build
import torch
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class WidthDivided(GAU):
    """Width divided."""

    role = "channel_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.heads = nn.ModuleList(nn.Linear(ctx.width // 7, ctx.width // 7) for _ in range(7))
        self.mix = nn.Parameter(
            torch.ones(7, ctx.width // 7).reshape(7, -1).expand(7, ctx.width // 7 + ctx.width % 7)
        )

    def forward(self, x, z):
        return x * self.mix.sum()
