"""Names of designs: readable, and the same for the same structure. Names of units: one for each."""

from collections.abc import Callable, Collection, Iterable

from model_discovery.blocks.seed_designs import seed_units
from model_discovery.blocks.source_text import snake_case
from model_discovery.blocks.unit_data import Unit
from model_discovery.blocks.unit_tree import UnitTree
from model_discovery.errors import UserError

__all__ = ["check_class_names", "design_name", "snake_case"]

_WORDS = 2
_DIGITS = 4
_PLAIN_BLOCKS = ("PreNormBlock", "MixerBlock")


def design_name(tree: UnitTree, taken: Collection[str] = ()) -> str:
    """A name such as ``mamba2_window_attention_7f3a``: the mixers, and the beginning of the structure hash.

    Parameters
    ----------
    tree
        The design.
    taken
        Names in use; more digits of the hash are shown until the name is free.
    """
    units = [unit for _, _, unit in tree.walk()]
    wiring = [] if units[0].name in _PLAIN_BLOCKS else [snake_case(units[0].name.removesuffix("Block"))]
    mixers = [unit.name for unit in units if unit.role == "sequence_mixer" and not unit.slots]
    locals_ = [unit.name for unit in units if unit.role == "local_mixer"]
    words = list(dict.fromkeys(snake_case(name) for name in mixers or locals_ or [units[0].name]))[:_WORDS]
    stem = "_".join(dict.fromkeys([*wiring[: 1 if len(words) < _WORDS else 0], *words]))
    digits = _DIGITS
    while f"{stem}_{tree.structure_hash[:digits]}" in taken and digits < len(tree.structure_hash):
        digits += 1
    return f"{stem}_{tree.structure_hash[:digits]}"


def check_class_names(
    units: Iterable[Unit], written: Callable[[Unit], bool], there: Iterable[Unit] = ()
) -> None:
    """A class name stands for one unit: in a tree, and among the human ones for what is newly written.

    Parameters
    ----------
    units
        What comes into a tree.
    written
        Whether one of them is new, not taken from where it stood before.
    there
        What the tree has already.

    Raises
    ------
    UserError
        A name is another unit's.
    """
    taken = {unit.name: unit.id for unit in there}
    for unit in units:
        human = seed_units().get(unit.name) if written(unit) else None
        known = taken.setdefault(unit.name, human.id if human else unit.id)
        if known != unit.id:
            raise UserError(
                f"The class name {unit.name} belongs to another unit.",
                hint="give the new class a name of its own, after what it does",
            )
