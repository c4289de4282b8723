"""Trees for verification: a small sound one, and the same with a mixer that misbehaves in a given way."""

from model_discovery.blocks import Node, UnitTree, get_seed_design, parse_unit

HEAD = """\
import torch
from torch import nn
from model_discovery.blocks import GAU, UnitContext


class Mixer(GAU):
    \"\"\"A mixer under test.\"\"\"

    role = "sequence_mixer"

    def __init__(self, ctx: UnitContext):
        super().__init__(ctx)
        self.up = nn.Linear(ctx.width, 2 * ctx.width, bias=False)
        self.out = ctx.residual_out(nn.Linear(2 * ctx.width, ctx.width, bias=False))
        self.calls = 0

    def forward(self, x, z):
        self.calls += 1
        h = torch.relu(self.up(x.cumsum(1) / (1 + torch.arange(x.shape[1])[:, None])))
"""


def sound() -> UnitTree:
    """The design that is quickest to train."""
    return get_seed_design("min_gru").tree


def with_mixer(last_lines: str) -> UnitTree:
    """``min_gru`` with another mixer; ``last_lines`` end its forward method, with ``h`` at hand."""
    body = "".join(f"        {line}\n" for line in last_lines.splitlines())
    unit = parse_unit(HEAD + body)
    tree = sound()
    return tree.graft("mixer", UnitTree(root=Node(unit=unit.id, config={}, slots={}), units={unit.id: unit}))
