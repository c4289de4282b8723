# refused by: causality
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class LinearAttentionNotCausal(GAU):
    """Linear attention not causal."""

    role = "sequence_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.qkv = nn.Linear(ctx.width, 3 * ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        q, k, v = self.qkv(x).chunk(3, -1)
        q, k = q.softmax(-1), k.softmax(1)
        return self.out(q @ (k.transpose(1, 2) @ v))
