# refused by: causality
from torch import nn

from model_discovery.blocks import GAU, UnitContext


class BidirectionalGru(GAU):
    """Bidirectional gru."""

    role = "sequence_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.rnn = nn.GRU(ctx.width, ctx.width // 2, batch_first=True, bidirectional=True)
        self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width, bias=False))

    def forward(self, x, z):
        return self.out(self.rnn(x)[0])
