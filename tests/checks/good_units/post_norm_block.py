from model_discovery.blocks import GAU, Slot, UnitContext


class PostNormBlock(GAU):
    """Post norm block."""

    role = "block"
    slots = {  # noqa: RUF012
        "mixer_norm": Slot("norm"),
        "mixer": Slot("sequence_mixer"),
        "ffn_norm": Slot("norm"),
        "ffn": Slot("channel_mixer"),
    }

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)

    def forward(self, x, z):
        h, z = self.mixer(x, z)
        x, z = self.mixer_norm(x + h, z)
        h, z = self.ffn(x, z)
        x, z = self.ffn_norm(x + h, z)
        return x, z
