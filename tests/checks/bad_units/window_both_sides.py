# refused by: causality
import torch
import torch.nn.functional as F
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class WindowBothSides(GAU):
    """Window both sides."""

    role = "sequence_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.qkv = nn.Linear(ctx.width, 3 * ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        q, k, v = self.qkv(x).chunk(3, -1)
        T = x.shape[1]
        i = torch.arange(T, device=x.device)
        m = (i[:, None] - i[None]).abs() < 8
        return self.out(F.scaled_dot_product_attention(q, k, v, attn_mask=m))
