# refused by: gradients
import torch
import torch.nn.functional as F
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class AcosBackward(GAU):
    """Acos backward."""

    role = "channel_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        h = F.normalize(self.up(x), dim=-1)
        c = (h * h).sum(-1, keepdim=True).clamp(-1, 1)
        return self.out(h * torch.acos(c))
