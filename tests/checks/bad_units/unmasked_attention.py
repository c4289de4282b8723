# refused by: causality
from torch import nn
from torch.nn import functional as F

from model_discovery.blocks import GAU, UnitContext


class UnmaskedAttention(GAU):
    """Unmasked attention."""

    role = "sequence_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.qkv = nn.Linear(ctx.width, 3 * ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        return self.out(F.scaled_dot_product_attention(q, k, v))
