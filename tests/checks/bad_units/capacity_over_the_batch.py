# refused by: batch_independence
import torch
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class CapacityOverTheBatch(GAU):
    """Capacity over the batch."""

    role = "channel_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.route = nn.Linear(ctx.width, 4, bias=False)
        self.experts = nn.Parameter(0.02 * torch.randn(4, ctx.width, ctx.width))

    def forward(self, x, z):
        scores = self.route(x).softmax(-1)
        rank = (scores[None] > scores[:, None]).sum(1)
        gates = scores * (rank < 1)
        return torch.einsum("btn,btd,nde->bte", gates, x, self.experts)
