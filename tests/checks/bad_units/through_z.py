# refused by: causality
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class ThroughZ(GAU):
    """Through z."""

    role = "sequence_mixer"
    reads = ("?summary",)
    writes = ("summary",)

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        summary = z.get("summary")
        h = self.up(x)
        if summary is not None:
            h = h + summary
        return self.out(h), {"summary": h.mean(1, keepdim=True)}
