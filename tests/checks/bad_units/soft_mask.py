# refused by: causality
import torch
import torch.nn.functional as F
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class SoftMask(GAU):
    """Soft mask."""

    role = "sequence_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.qkv = nn.Linear(ctx.width, 3 * ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        q, k, v = self.qkv(x).chunk(3, -1)
        T = x.shape[1]
        m = torch.full((T, T), -5.0, device=x.device, dtype=x.dtype).triu(1)
        return self.out(F.scaled_dot_product_attention(q, k, v, attn_mask=m))
