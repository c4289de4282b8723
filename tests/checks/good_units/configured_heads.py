from torch import nn
from torch.nn import functional as F

from model_discovery.blocks import GAU, Field, UnitConfig, UnitContext


class ConfiguredHeads(GAU):
    """Configured heads."""

    role = "sequence_mixer"

    class Config(UnitConfig):
        heads: int = Field(4, ge=1, le=64, description="heads")

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.heads = max(n for n in range(1, ctx.config.heads + 1) if ctx.width % n == 0)
        self.qkv = nn.Linear(ctx.width, 3 * ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        B, T, D = x.shape
        n = self.heads
        q, k, v = self.qkv(x).view(B, T, 3, n, D // n).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(y.transpose(1, 2).reshape(B, T, D))
