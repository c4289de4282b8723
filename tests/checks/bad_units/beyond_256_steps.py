# refused by: causality
import torch
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class Beyond256Steps(GAU):
    """Beyond 256 steps."""

    role = "sequence_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        h = self.up(x)
        if h.shape[1] > 256:
            h = torch.cat([h[:, :-257], h[:, -257:] + 0.1 * h[:, -1:]], dim=1)
        return self.out(h)
