# refused by: gradients
import torch
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class DropsEarlyTokens(GAU):
    """Drops early tokens."""

    role = "block"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        keep = (torch.arange(x.shape[1], device=x.device) >= 16)[:, None]
        x = torch.where(keep, x, x.detach())
        return x + self.out(self.up(x))
