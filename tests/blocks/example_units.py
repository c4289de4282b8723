"""Small units as source text, and trees made of them."""

from model_discovery.blocks import Node, Unit, UnitTree, parse_unit

HEAD = """\
import torch
from torch import nn
import torch.nn.functional as F
from model_discovery.blocks import GAU, Field, Slot, UnitConfig, UnitContext
"""

GATED_MLP = (
    HEAD
    + '''
class GatedMLP(GAU):
    """Channel mixer  y = W_o(silu(W_g x) * W_v x).

    Source: Shazeer 2020, arXiv 2002.05202.  Cost: O(T d^2).
    """

    role = "channel_mixer"

    class Config(UnitConfig):
        expansion: float = Field(8 / 3, gt=0, le=8, description="hidden width / model width")

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        hidden = ctx.multiple_of(16, ctx.width * ctx.config.expansion)
        self.gate_value = nn.Linear(ctx.width, 2 * hidden, bias=False)
        self.out = ctx.residual_out(nn.Linear(hidden, ctx.width, bias=False))

    def forward(self, x, z):
        gate, value = self.gate_value(x).chunk(2, dim=-1)
        return self.out(F.silu(gate) * value)


def test_shape():
    unit = GatedMLP(UnitContext(32))
    assert unit(torch.zeros(1, 3, 32), {})[0].shape == (1, 3, 32)
'''
)

PRE_NORM = (
    HEAD
    + '''
class PreNormBlock(GAU):
    """x + mixer(norm(x)), then x + ffn(norm(x))."""

    role = "block"
    slots = {"mixer_norm": Slot("norm"), "mixer": Slot("sequence_mixer"),
             "ffn_norm": Slot("norm"), "ffn": Slot("channel_mixer")}

    def forward(self, x, z):
        h, z = self.mixer_norm(x, z)
        h, z = self.mixer(h, z)
        x = x + h
        h, z = self.ffn_norm(x, z)
        h, z = self.ffn(h, z)
        return x + h, z
'''
)

NORM = (
    HEAD
    + '''
EPSILON = 1e-6


def helper(x, eps):  # the same name is used, with another meaning, by the mixer below
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)


class ScaleNorm(GAU):
    """Root mean square norm, arXiv 1910.07467."""

    role = "norm"

    class Config(UnitConfig):
        eps: float = Field(EPSILON, gt=0, lt=1)
        learned: bool = True

    def __init__(self, ctx):
        super().__init__(ctx)
        self.eps = ctx.config.eps
        self.weight = nn.Parameter(torch.ones(ctx.width))

    def forward(self, x, z):
        return helper(x, self.eps) * self.weight
'''
)

MEAN_MIXER = (
    HEAD
    + '''
from typing import Literal


def helper(x):
    """Cumulative mean."""
    count = torch.arange(1, x.shape[1] + 1, device=x.device, dtype=x.dtype)
    return x.cumsum(1) / count[None, :, None]


class MeanMixer(GAU):
    """Cumulative mean of the past, gated; after it a child mixer, at half the width."""

    role = "sequence_mixer"
    fills = "manual"
    writes = ("mean",)
    slots = {"inner": Slot("sequence_mixer", optional=True), "local": Slot("local_mixer")}

    class Config(UnitConfig):
        n_heads: int = Field(4, ge=1, le=16)
        gate: Literal["silu", "sigmoid"] = "silu"
        window: int | None = None

    def __init__(self, ctx):
        super().__init__(ctx)
        self.gate = getattr(F, ctx.config.gate) if ctx.config.gate == "silu" else torch.sigmoid
        self.down = nn.Linear(ctx.width, ctx.width // 2)
        self.inner = ctx.fill("inner", width=ctx.width // 2) if ctx.filled("inner") else None
        self.local = ctx.fill("local") if ctx.layer % 2 == 0 else None
        self.up = ctx.residual_out(nn.Linear(ctx.width // 2, ctx.width))

    def forward(self, x, z):
        if self.local is not None:
            x, z = self.local(x, z)
        h = self.gate(self.down(helper(x)))
        if self.inner is not None:
            h, z = self.inner(h, z)
        return self.up(h), {**z, "mean": h}
'''
)

SHIFT = (
    HEAD
    + '''
class Shift(GAU):
    """Mixes each position with the one before it."""

    role = "local_mixer"
    reads = ("positions", "?mean")

    class Config(UnitConfig):
        share: float = Field(0.5, ge=0, le=1)

    def __init__(self, ctx):
        super().__init__(ctx)
        self.share = nn.Parameter(torch.full((ctx.width,), float(ctx.config.share)))

    def forward(self, x, z):
        before = F.pad(x, (0, 0, 1, 0))[:, :-1]
        before = before * (z["positions"] > 0).unsqueeze(-1)
        return x + self.share * (before - x)
'''
)

AUXILIARY = (
    HEAD
    + '''
class CountingMixer(GAU):
    """A channel mixer with an auxiliary loss of one, and a side variable that it needs."""

    role = "channel_mixer"
    reads = ("mean",)
    writes = ("aux_losses",)

    def forward(self, x, z):
        return x * z["mean"].mean(), {"aux_losses": torch.ones(())}
'''
)

SOURCES = (GATED_MLP, PRE_NORM, NORM, MEAN_MIXER, SHIFT, AUXILIARY)
UNITS: dict[str, Unit] = {unit.name: unit for unit in (parse_unit(source, "seed") for source in SOURCES)}


def node(name: str, config: dict | None = None, **slots: Node | None) -> Node:
    """A node by class name."""
    return Node(unit=UNITS[name].id, config=config or {}, slots=slots)


def tree(root: Node) -> UnitTree:
    """A tree with exactly the units that it uses."""
    full = UnitTree(root=root, units={unit.id: unit for unit in UNITS.values()})
    return full.subtree("")


def example_tree() -> UnitTree:
    """A whole block."""
    mixer = node("MeanMixer", {"n_heads": 2}, inner=node("Shift"), local=node("Shift", {"share": 0.25}))
    return tree(
        node(
            "PreNormBlock",
            mixer_norm=node("ScaleNorm"),
            mixer=mixer,
            ffn_norm=node("ScaleNorm"),
            ffn=node("GatedMLP"),
        )
    )
