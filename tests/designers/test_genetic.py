"""Laws of the genetic designer: what it proposes is new, sound, and the same for the same seed."""

import random
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_discovery.blocks import Node, UnitTree, parse_unit
from model_discovery.blocks.seed_designs import seed_designs, seed_units
from model_discovery.designers.genetic import MUTATIONS, propose
from model_discovery.designers.growth import MAX_NODES, leaf, library_of, neighbours, tunable
from model_discovery.designers.names import design_name, snake_case
from model_discovery.designers.requests import DesignRequest, NothingNew, ParentDesign
from model_discovery.errors import UserError

SEEDS = seed_designs()
ECHO = '''"""All of it in one file."""

from model_discovery.blocks import GAU


class WholeEcho(GAU):
    """y = 2 x."""

    role = "block"

    def forward(self, x, z):
        return x + x
'''
PARENTS = {"scratch": 0, "mutation": 1, "crossover": 2}


def parent(name: str) -> ParentDesign:
    return ParentDesign(name=name, unit_tree=SEEDS[name].tree)


@st.composite
def requests(draw) -> DesignRequest:
    operator = draw(st.sampled_from(sorted(PARENTS)))
    number = PARENTS[operator]
    names = draw(st.lists(st.sampled_from(sorted(SEEDS)), min_size=number, max_size=number, unique=True))
    return DesignRequest(
        operator=operator, parents=tuple(map(parent, names)), seed=draw(st.integers(0, 10**6))
    )


@settings(max_examples=150, deadline=None)
@given(requests())
def test_every_proposal_is_sound_new_and_reproducible(request: DesignRequest) -> None:
    tree, proposal = propose(request, random.Random(request.seed))
    tree.validate_tree()
    assert tree.unfilled() == ()
    assert tree.unit("").role == "block"
    assert len(list(tree.walk())) <= MAX_NODES
    assert any(unit.role in ("sequence_mixer", "local_mixer") for _, _, unit in tree.walk())
    assert tree.structure_hash not in {given.unit_tree.structure_hash for given in request.parents}
    assert proposal.operator == request.operator
    assert proposal.title and proposal.summary and proposal.changes
    tree.subtree(proposal.path)
    again = propose(request, random.Random(request.seed))
    assert again == (tree, proposal)


@settings(max_examples=40, deadline=None)
@given(requests(), st.integers(0, 10**6))
def test_proposals_of_proposals_stay_sound(request: DesignRequest, seed: int) -> None:
    tree, _ = propose(request, random.Random(seed))
    first = ParentDesign(name="first", unit_tree=tree)
    for operator, parents in (("mutation", (first,)), ("crossover", (first, parent("retnet")))):
        following = DesignRequest(operator=operator, parents=parents, avoid=(tree.structure_hash,))
        child, _ = propose(following, random.Random(seed))
        child.validate_tree()
        assert child.structure_hash != tree.structure_hash


def test_avoid_is_kept() -> None:
    request = DesignRequest(operator="mutation", parents=(parent("gpt2"),))
    seen: list[str] = []
    for number in range(30):
        tree, _ = propose(request.model_copy(update={"avoid": tuple(seen)}), random.Random(number % 3))
        assert tree.structure_hash not in seen
        seen.append(tree.structure_hash)


def test_nothing_new(monkeypatch: pytest.MonkeyPatch) -> None:
    request = DesignRequest(operator="mutation", parents=(parent("gpt2"),))
    monkeypatch.setattr("model_discovery.designers.growth.MAX_NODES", 0)
    with pytest.raises(NothingNew, match="No new structure by mutation from gpt2"):
        propose(request, random.Random(0))


def test_parents_that_an_operator_needs() -> None:
    with pytest.raises(UserError, match="A crossover needs 2 parents, 1 given"):
        propose(DesignRequest(operator="crossover", parents=(parent("gpt2"),)), random.Random(0))


@pytest.mark.parametrize("move", [move for move, _ in MUTATIONS])
def test_every_move_happens(move) -> None:
    trees = [design.tree for design in SEEDS.values()]
    trees += [tree.graft("mixer", moved) for tree in trees[:3] if (moved := _wrapped(tree)) is not None]
    library = library_of(trees)
    made = [move(tree, random.Random(seed), library) for tree in trees for seed in range(6)]
    made = [done for done in made if done is not None]
    assert made
    for done in made:
        done.tree.validate_tree()
        assert done.change and done.title


def _wrapped(tree):
    units = seed_units()
    if "mixer" not in tree.paths():
        return None
    return (
        leaf(units["LocalThenMixer"])
        .graft("mixer", tree.subtree("mixer"))
        .graft("local", leaf(units["TokenShift"]))
    )


def test_crossover_takes_from_both_parents() -> None:
    request = DesignRequest(operator="crossover", parents=(parent("mamba2"), parent("window_transformer")))
    both = 0
    for seed in range(40):
        tree, _ = propose(request, random.Random(seed))
        names = {unit.name for _, _, unit in tree.walk()}
        both += {"Mamba2", "WindowAttention"} <= names
    assert 5 <= both <= 35


def test_neighbours_stay_in_range() -> None:
    for unit in seed_units().values():
        for name in tunable(unit):
            field = unit.fields[name]
            values = neighbours(field, field.default)
            assert values and field.default not in values
            assert not any(field.problem(value) for value in values)
        assert "eps" not in tunable(unit)


def test_names() -> None:
    assert [snake_case(name) for name in ("GatedDeltaNet", "RGLRU", "S4D", "MinGRU", "Mamba2")] == [
        "gated_delta_net",
        "rglru",
        "s4d",
        "min_gru",
        "mamba2",
    ]
    tree = SEEDS["griffin"].tree
    name = design_name(tree)
    assert name.endswith(tree.structure_hash[:4]) and name.startswith("rglru_window_attention_")
    longer = design_name(tree, {name})
    assert longer.endswith(tree.structure_hash[:5])


def test_a_block_of_one_unit_is_named_once() -> None:
    unit = parse_unit(ECHO)
    tree = UnitTree(root=Node(unit=unit.id), units={unit.id: unit})
    assert design_name(tree) == f"whole_echo_{tree.structure_hash[:4]}"


def test_no_torch_is_loaded() -> None:
    code = (
        "import random, sys\n"
        "from model_discovery.designers import DesignRequest, propose, design_name\n"
        "from model_discovery.designers import ExternalDesigner, make_design\n"
        "tree, proposal = propose(DesignRequest(operator='scratch'), random.Random(0))\n"
        "design_name(tree)\n"
        "assert 'torch' not in sys.modules\n"
        "from model_discovery.designers.work import run_design\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
