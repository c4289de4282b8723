"""Modules built from trees, and the contract at run time."""

import pytest
import torch
from example_units import GATED_MLP, HEAD, UNITS, example_tree, node, tree
from torch import nn

from model_discovery.blocks import ContractError, Node, UnitContext, UnitTree, build_block, parse_unit
from model_discovery.blocks.build import load_unit
from model_discovery.blocks.unit import Placeholder


def built(source: str, width: int = 16):
    """The unit of a source, alone."""
    unit = parse_unit(source)
    return build_block(UnitTree(root=Node(unit=unit.id), units={unit.id: unit}), width=width)


def unit_source(body: str, role: str = "sequence_mixer") -> str:
    lines = "\n".join(f"    {line}" for line in [f'role = "{role}"', *body.splitlines()])
    return f"{HEAD}\nclass Some(GAU):\n{lines}\n"


def test_a_whole_block_runs() -> None:
    block = build_block(example_tree(), width=32, layer=0, n_layers=2)
    x = torch.randn(2, 7, 32)
    y, z = block(x, {"positions": torch.arange(7).expand(2, -1)})
    assert y.shape == x.shape
    assert z["mean"].shape == (2, 7, 16)
    assert block.mixer.inner.share.shape == (16,)


def test_slots_by_layer() -> None:
    even, odd = (build_block(example_tree(), width=32, layer=layer, n_layers=2) for layer in (0, 1))
    assert even.mixer.local is not None and odd.mixer.local is None


def test_namespaces_of_units_never_meet() -> None:
    norm, mixer = load_unit(UNITS["ScaleNorm"]), load_unit(UNITS["MeanMixer"])
    assert norm.forward.__globals__["helper"] is not mixer.forward.__globals__["helper"]


def test_a_units_own_test_runs() -> None:
    unit = load_unit(parse_unit(GATED_MLP))
    unit.forward.__globals__["test_shape"]()


def test_placeholders_are_identities_and_write_zeros() -> None:
    block = build_block(tree(node("PreNormBlock")), width=8)
    x = torch.randn(1, 3, 8)
    assert torch.equal(block(x, {})[0], 4 * x)
    source = unit_source(
        'slots = {"inner": Slot("norm", wants=("gate",))}\n'
        "def forward(self, x, z):\n    x, z = self.inner(x, z)\n    return x + z['gate'], z"
    )
    y, z = built(source, 8)(x, {})
    assert torch.equal(y, x) and torch.equal(z["gate"], torch.zeros_like(x))
    assert isinstance(block.ffn, Placeholder)


def test_initialisation() -> None:
    torch.manual_seed(0)
    source = unit_source(
        "def __init__(self, ctx):\n"
        "    super().__init__(ctx)\n"
        "    self.plain = nn.Linear(ctx.width, 4 * ctx.width)\n"
        "    self.zero = nn.Linear(ctx.width, ctx.width)\n"
        "    nn.init.zeros_(self.zero.weight)\n"
        "    self.open = nn.Linear(ctx.width, ctx.width)\n"
        "    self.open.bias.data.fill_(2.0)\n"
        "    self.out = ctx.residual_out(nn.Linear(ctx.width, ctx.width))\n"
        "def forward(self, x, z):\n    return self.out(x)"
    )
    unit = parse_unit(source)
    block = build_block(
        UnitTree(root=Node(unit=unit.id), units={unit.id: unit}), width=128, layer=0, n_layers=8
    )
    assert block.plain.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert not block.plain.bias.any() and not block.zero.weight.any()
    assert (block.open.bias == 2).all()
    assert block.out.weight.std().item() == pytest.approx(0.02 / 4, rel=0.05)


def test_context_helpers() -> None:
    context = UnitContext(64)
    assert [context.multiple_of(16, value) for value in (3, 171, 170.7, 24.1)] == [16, 176, 176, 32]
    assert (context.layer, context.n_layers) == (0, 1)


def test_config_is_validated_when_built_by_hand() -> None:
    unit = load_unit(UNITS["GatedMLP"])
    assert unit(UnitContext(16, config={"expansion": 2})).out.in_features == 32
    with pytest.raises(ValueError, match="expansion"):
        unit(UnitContext(16, config={"expansion": 9}))
    with pytest.raises(ValueError, match="expnsion"):
        unit(UnitContext(16, config={"expnsion": 2}))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "def forward(self, x, z):\n    return x[:, :-1]",
            r"Some returned \(2, 4, 16\) for an input of \(2, 5, 16\)",
        ),
        ("def forward(self, x, z):\n    return None", "returned NoneType"),
        (
            "def forward(self, x, z):\n    return x, {'extra': x}",
            "changed 'extra' without declaring it in writes",
        ),
        (
            "reads = ('gate',)\ndef forward(self, x, z):\n    return x",
            "reads 'gate', which nothing before it",
        ),
        (
            "fills = 'manual'\ndef __init__(self, ctx):\n    super().__init__(ctx)\n"
            "    self.a = ctx.fill('inner')\n"
            "def forward(self, x, z):\n    return x",
            "slot 'inner' is filled but not declared",
        ),
    ],
)
def test_broken_contracts_are_named(body: str, message: str) -> None:
    source = unit_source(body)
    with pytest.raises(ContractError, match=message):
        load_unit(parse_unit(source))(UnitContext(16))(torch.zeros(2, 5, 16), {})


def test_a_unit_sees_only_what_it_declares() -> None:
    source = unit_source(
        "reads = ('positions', '?gate')\n"
        "def forward(self, x, z):\n    assert sorted(z) == ['gate', 'positions'], z\n    return x"
    )
    z = {"positions": torch.zeros(1, 1), "gate": 1, "secret": 2}
    _, after = built(source)(torch.zeros(1, 1, 16), z)
    assert after == z


def test_a_slot_that_wants_a_variable_gets_it() -> None:
    parent = parse_unit(
        unit_source(
            'slots = {"inner": Slot("norm", wants=("gate",))}\n'
            "def forward(self, x, z):\n    x, z = self.inner(x, z)\n    return x, z"
        )
    )
    silent = parse_unit(
        unit_source("writes = ('gate',)\ndef forward(self, x, z):\n    return x", "norm").replace(
            "Some", "Silent"
        )
    )
    root = Node(unit=parent.id, slots={"inner": Node(unit=silent.id)})
    block = build_block(UnitTree(root=root, units={parent.id: parent, silent.id: silent}), width=4)
    with pytest.raises(ContractError, match="Silent did not write 'gate'"):
        block(torch.zeros(1, 2, 4), {})


def test_auxiliary_losses_add_up_through_containers() -> None:
    mixer = node("MeanMixer", local=node("Shift"))
    subject = tree(node("PreNormBlock", mixer=mixer, ffn=node("CountingMixer")))
    block = build_block(subject.validate_tree(), width=8, layer=0, n_layers=1)
    # CountingMixer reads what MeanMixer wrote.
    x, z = torch.randn(1, 3, 8), {"positions": torch.arange(3).expand(1, -1)}
    for expected in (1, 2, 3):
        x, z = block(x, z)
        assert len(z["aux_losses"]) == expected


def test_annotations_of_a_unit_resolve() -> None:
    source = "from __future__ import annotations\nfrom typing import Literal\n" + unit_source(
        'class Config(UnitConfig):\n    kind: Literal["a", "b"] = "a"\n'
        "def forward(self, x: torch.Tensor, z):\n    return x"
    )
    assert isinstance(built(source), nn.Module)
