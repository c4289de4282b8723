# refused by: causality
from torch import nn
from torch.nn import functional as F

from model_discovery.blocks import GAU, UnitContext


class ChunkMean(GAU):
    """Chunk mean."""

    role = "sequence_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        B, T, D = x.shape
        pad = -T % 32
        h = F.pad(self.up(x), (0, 0, 0, pad)).view(B, -1, 32, D)
        h = h.mean(2, keepdim=True).expand_as(h).reshape(B, T + pad, D)[:, :T]
        return self.out(h)
