# refused by: causality
import torch
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class ExpertChoice(GAU):
    """Expert choice."""

    role = "channel_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.route = nn.Linear(ctx.width, 4, bias=False)
        self.experts = nn.Parameter(0.02 * torch.randn(4, ctx.width, ctx.width))

    def forward(self, x, z):
        scores = self.route(x).softmax(-1)
        keep = max(1, x.shape[1] // 4)
        floor = scores.topk(keep, dim=1).values[:, -1:]
        gates = scores * (scores >= floor)
        return torch.einsum("btn,btd,nde->bte", gates, x, self.experts)
