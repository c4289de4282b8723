from torch import nn
from torch.nn import functional as F

from model_discovery.blocks import GAU, UnitContext


class ShortLocalMixer(GAU):
    """Short local mixer."""

    role = "local_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.conv = nn.Conv1d(ctx.width, ctx.width, 4, groups=ctx.width)

    def forward(self, x, z):
        h = F.pad(x.transpose(1, 2), (3, 0))
        return F.silu(self.conv(h)).transpose(1, 2)
