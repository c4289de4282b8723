import torch
from torch import nn
from torch.nn import functional as F

from model_discovery.blocks import GAU, UnitContext


class TokenChoiceExperts(GAU):
    """Token choice experts."""

    role = "channel_mixer"
    writes = ("aux_losses",)

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.route = nn.Linear(ctx.width, 4, bias=False)
        self.inner = nn.Parameter(0.02 * torch.randn(4, ctx.width, ctx.width // 2))
        self.outer = nn.Parameter(0.02 * torch.randn(4, ctx.width // 2, ctx.width))

    def forward(self, x, z):
        scores = self.route(x)
        top = scores.topk(2, dim=-1)
        gates = torch.zeros_like(scores).scatter(-1, top.indices, top.values.softmax(-1))
        h = F.silu(torch.einsum("btd,nde->btne", x, self.inner))
        load = gates.mean((0, 1))
        return torch.einsum("btne,ned,btn->btd", h, self.outer, gates), {
            "aux_losses": 0.01 * load.square().sum()
        }
