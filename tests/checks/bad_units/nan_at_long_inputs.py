# refused by: stability
import torch
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class NanAtLongInputs(GAU):
    """Nan at long inputs."""

    role = "sequence_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        decay = torch.full_like(x[:, :, :1], 0.8).log().cumsum(1).exp()
        return self.out((self.up(x) / decay).cumsum(1) * decay)
