"""Importing the room costs nothing; the seed loader reads data."""

import subprocess
import sys

import pytest
from example_units import UNITS

import model_discovery.blocks as blocks
from model_discovery.blocks.seed_designs import get_seed_design, seed_designs, seed_units, tree_from_spec
from model_discovery.errors import UserError


def test_data_without_torch() -> None:
    code = (
        "import sys\n"
        "import model_discovery.blocks\n"
        "assert 'pydantic' not in sys.modules\n"
        "from model_discovery.blocks.seed_designs import seed_designs\n"
        "from model_discovery.blocks import SCALES, UnitTree, parse_unit, standalone_source\n"
        "for design in seed_designs().values():\n"
        "    standalone_source(design.tree, name=design.name)\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_every_public_name_is_there() -> None:
    for name in blocks.__all__:
        assert getattr(blocks, name) is not None
    with pytest.raises(AttributeError):
        blocks.Nothing  # noqa: B018


def test_seeds_are_whole() -> None:
    assert all(unit.origin == "seed" for unit in seed_units().values())
    for design in seed_designs().values():
        assert design.tree.unfilled() == (), design.name
        assert design.tree.unit("").role == "block"


def test_hand_written_trees() -> None:
    spec = {"unit": "PreNormBlock", "slots": {"ffn": {"unit": "GatedMLP", "config": {"expansion": 2}}}}
    assert tree_from_spec(spec, UNITS).config("ffn") == {"expansion": 2.0}
    with pytest.raises(UserError, match=r"Unknown unit 'GatedMPL'\. Did you mean 'GatedMLP'"):
        tree_from_spec({"unit": "GatedMPL"}, UNITS)
    with pytest.raises(UserError, match="Unknown seed design 'transfomer'"):
        get_seed_design("transfomer")
