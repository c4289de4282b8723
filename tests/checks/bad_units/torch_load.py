# refused by: source
import torch
from torch import nn
from torch.nn import functional as F

from model_discovery.blocks import GAU, UnitContext


class TorchLoad(GAU):
    """Torch load."""

    role = "channel_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.weight = nn.Parameter(torch.load("weights.pt"))

    def forward(self, x, z):
        return x @ self.weight
