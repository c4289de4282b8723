# refused by: causality
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class ArgsortTime(GAU):
    """Argsort time."""

    role = "sequence_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        h = self.up(x)
        r = h.argsort(1).to(x.dtype)
        return self.out(h * (1 + r / 100))
