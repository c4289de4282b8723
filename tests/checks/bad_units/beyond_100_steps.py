# refused by: causality
from torch import nn
from torch.nn import functional as F

from model_discovery.blocks import GAU, UnitContext


class Beyond100Steps(GAU):
    """Beyond 100 steps."""

    role = "sequence_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        h = self.up(x)
        late = F.pad(h[:, 100:], (0, 0, 0, min(100, h.shape[1])))[:, : h.shape[1]]
        return self.out(h + 0.5 * late)
