# refused by: causality
import torch.nn.functional as F
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class PoolAndUpsample(GAU):
    """Pool and upsample."""

    role = "sequence_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        h = F.avg_pool1d(self.up(x).transpose(1, 2), 4, ceil_mode=True)
        h = h.repeat_interleave(4, -1)[..., : x.shape[1]]
        return self.out(h.transpose(1, 2))
