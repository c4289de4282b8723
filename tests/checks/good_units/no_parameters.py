from torch.nn import functional as F

from model_discovery.blocks import GAU, UnitContext


class NoParameters(GAU):
    """No parameters."""

    role = "sequence_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)

    def forward(self, x, z):
        return F.pad(x, (0, 0, 1, 0))[:, :-1]
