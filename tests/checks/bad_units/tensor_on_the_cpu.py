# refused by: device
import torch
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class TensorOnTheCpu(GAU):
    """Tensor on the cpu."""

    role = "channel_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        steps = torch.arange(x.shape[1]).to(x.dtype)
        return self.out(self.up(x) / (1.0 + steps)[:, None])
