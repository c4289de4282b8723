# refused by: state
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class RemembersLastCall(GAU):
    """Remembers last call."""

    role = "channel_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))
        self.last = None

    def forward(self, x, z):
        h = self.up(x)
        if self.last is not None and self.last.shape == h.shape:
            h = h + self.last
        self.last = h.detach()
        return self.out(h)
