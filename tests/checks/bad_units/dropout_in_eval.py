# refused by: determinism
from torch import nn
from torch.nn import functional as F

from model_discovery.blocks import GAU, UnitContext


class DropoutInEval(GAU):
    """Dropout in eval."""

    role = "channel_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        return self.out(F.dropout(self.up(x), 0.1))
