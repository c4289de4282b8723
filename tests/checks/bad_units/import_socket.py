# refused by: source
import socket
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class ImportSocket(GAU):
    """Import socket."""

    role = "channel_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        socket.socket()
        return self.out(x)
