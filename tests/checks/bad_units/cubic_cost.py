# refused by: cost
import torch
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class CubicCost(GAU):
    """Cubic cost."""

    role = "sequence_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        h = self.up(x)
        with torch.no_grad():
            scores = (x @ x.transpose(1, 2)).tril() / x.shape[-1]
            weights = torch.zeros_like(scores)
            for t in range(0, x.shape[1], 4):
                weights += (scores + 1e-3 * t).abs().sqrt()
            weights = weights.cos().tril()
        return self.out(weights @ h / 30)
