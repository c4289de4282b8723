# refused by: source
import torch
from torch import nn
from torch.nn import functional as F

from model_discovery.blocks import GAU, UnitContext


class TorchHub(GAU):
    """Torch hub."""

    role = "channel_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.net = torch.hub.load("a/b", "c")

    def forward(self, x, z):
        return self.net(x)
