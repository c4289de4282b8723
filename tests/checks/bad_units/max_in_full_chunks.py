# refused by: causality
import torch
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class MaxInFullChunks(GAU):
    """Max in full chunks."""

    role = "sequence_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        h = self.up(x)
        B, T, D = h.shape
        n = T // 128 * 128
        if n:
            c = h[:, :n].reshape(B, -1, 128, D)
            h = torch.cat([(c + c.amax(2, keepdim=True)).reshape(B, n, D), h[:, n:]], 1)
        return self.out(h)
