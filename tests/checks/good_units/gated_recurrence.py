import torch
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class GatedRecurrence(GAU):
    """Gated recurrence."""

    role = "sequence_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))
        self.forget = nn.Linear(ctx.width, ctx.width)

    def forward(self, x, z):
        h = self.up(x)
        a = torch.sigmoid(self.forget(x))
        state = torch.zeros_like(h[:, 0])
        states = []
        for t in range(x.shape[1]):
            state = a[:, t] * state + (1 - a[:, t]) * h[:, t]
            states.append(state)
        return self.out(torch.stack(states, dim=1))
