# refused by: state
from torch import nn

from model_discovery.blocks import GAU, UnitContext

SEEN = []


class RemembersInAList(GAU):
    """Remembers in a list."""

    role = "channel_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        h = self.up(x)
        seen = SEEN[-1] if SEEN else 0.0
        SEEN.append(float(h.detach().mean()))
        return self.out(h + seen)
