"""A single unit as a design: put into the block of a known good one."""

from model_discovery.blocks.seed_designs import get_seed_design
from model_discovery.blocks.unit_data import Node, Unit, accepts
from model_discovery.blocks.unit_tree import UnitTree
from model_discovery.errors import UserError

STANDARD = "transformer_pp"
"""The seed design that lends its block."""

_SLOTS = {
    "sequence_mixer": ("mixer",),
    "local_mixer": ("mixer",),
    "channel_mixer": ("ffn",),
    "norm": ("mixer_norm", "ffn_norm"),
    "block": ("",),
}


def place_unit(unit: Unit) -> UnitTree:
    """The standard block with ``unit`` in the slots of its role; a block takes the place of the root.

    The unit's own slots are filled with the standard design's units of the same role.
    """
    tree = get_seed_design(STANDARD).tree
    subtree = _with_children(unit, tree)
    for path in _SLOTS[unit.role]:
        tree = tree.graft(path, subtree)
    return tree


def _with_children(unit: Unit, standard: UnitTree) -> UnitTree:
    tree = UnitTree(root=Node(unit=unit.id), units={unit.id: unit})
    for name, slot in unit.slots.items():
        if slot.optional or slot.wants:
            continue
        donor = next((path for path, _, known in standard.walk() if accepts(slot.role, known.role)), None)
        if donor is not None and slot.role != "block":
            tree = tree.graft(name, standard.subtree(donor))
    try:
        return tree.validate_tree()
    except UserError:
        return tree  # a side variable that only the surrounding block can give; the checks will tell
