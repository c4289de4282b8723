"""Unit statistics of a campaign: units are told apart by what they are, whatever they are called."""

from pathlib import Path

from agentic_makers import GOOD
from evolution_makers import NAME, begin, small_config

from model_discovery.blocks.seed_designs import seed_designs
from model_discovery.blocks.unit_source import parse_unit
from model_discovery.design_tree import DesignTree, NewDesign
from model_discovery.designers.growth import leaf
from model_discovery.evolution import add_design, load_state
from model_discovery.evolution.knowledge import KnowledgeMaker
from model_discovery.evolution.policy import DesignStep
from model_discovery.evolution.state import Estimate, Run

CONFIG = small_config()
BASES = ("transformer_pp", "retnet", "mamba2")


def entered(tree: DesignTree, name: str, base: str, source: str) -> None:
    """A human design with another mixer."""
    made = seed_designs()[base].tree.graft("mixer", leaf(parse_unit(source, "external")))
    new = NewDesign(name, "external", "scratch", "valid", {}, made.to_json(), made.structure_hash)
    add_design(tree, tree.campaign(NAME), new)


def test_two_units_of_one_name_are_two(tmp_path: Path) -> None:
    other = GOOD.replace("torch.sigmoid", "torch.tanh")
    with DesignTree(tmp_path / "tree.db") as tree:
        row = begin(tree, CONFIG)
        for base in BASES:
            entered(tree, f"good_{base}", base, GOOD)
            entered(tree, f"bad_{base}", base, other)
        state = load_state(tree, row.id, CONFIG)
        for index, design in enumerate(state.designs):
            loss = {"good": 2.5, "bad_": 3.5}.get(design.name[:4], 3.0)
            state.reserve_run(index, 0)
            state.settle_run(index, Run(scale=0, seed=0, status="ok", held_out=Estimate(loss, 0.01)))
        told = KnowledgeMaker(tree).of(state, DesignStep("scratch", "agentic", ())).unit_statistics
    mixers = {each.unit: each for each in told if each.unit.startswith("FadingMean")}
    assert sorted(mixers) == sorted(parse_unit(source, "external").id for source in (GOOD, other))
    assert sorted(each.effect > 0 for each in mixers.values()) == [False, True]
    assert all(each.designs == 3 for each in mixers.values())
