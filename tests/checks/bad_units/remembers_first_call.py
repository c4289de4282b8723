# refused by: state
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class RemembersFirstCall(GAU):
    """Remembers first call."""

    role = "channel_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))
        self.first = None

    def forward(self, x, z):
        h = self.up(x)
        if self.first is None:
            self.first = h.detach().mean()
        return self.out(h + self.first)
