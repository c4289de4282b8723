# refused by: gradients
import torch
from torch import nn
from torch.nn import functional as F

from model_discovery.blocks import GAU, UnitContext


class ArgmaxRouting(GAU):
    """Argmax routing."""

    role = "channel_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.route = nn.Linear(ctx.width, 4, bias=False)
        self.experts = nn.Parameter(0.02 * torch.randn(4, ctx.width, ctx.width))

    def forward(self, x, z):
        gates = F.one_hot(self.route(x).argmax(-1), 4).to(x.dtype)
        return torch.einsum("btn,btd,nde->bte", gates, x, self.experts)
