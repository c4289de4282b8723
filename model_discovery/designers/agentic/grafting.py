"""Trees while they are being built: what is opened, what is put there, and what may not change."""

from collections.abc import Sequence
from dataclasses import dataclass

from model_discovery.blocks.seed_designs import get_seed_design, seed_units
from model_discovery.blocks.tree_rules import place
from model_discovery.blocks.unit_data import Unit
from model_discovery.blocks.unit_source import parse_unit
from model_discovery.blocks.unit_tree import UnitTree, split_address
from model_discovery.designers.agentic.schemas import Reuse, UnitCode
from model_discovery.designers.growth import leaf
from model_discovery.designers.names import check_class_names
from model_discovery.designers.requests import DesignRequest, ParentDesign
from model_discovery.errors import UserError, unknown

ORIGIN = "agentic"
_STAND_INS = {
    "norm": "RMSNorm",
    "sequence_mixer": "RotaryAttention",
    "local_mixer": "ShortConvolution",
    "channel_mixer": "GatedMLP",
}


# -- where


@dataclass(frozen=True)
class Site:
    """Where a proposal is built: the parent that is changed and the slot paths that are opened in it.

    Without ``parent`` the whole block is new, and the path is ``""``.
    """

    parent: ParentDesign | None
    paths: tuple[str, ...]

    def opened(self) -> UnitTree | None:
        """The parent's tree with the paths emptied; ``None`` where nothing stays."""
        if self.parent is None:
            return None
        tree = self.parent.unit_tree
        for path in self.paths:
            tree = tree.graft(path, None)
        return tree

    def open_slots(self, tree: UnitTree | None) -> list[str]:
        """Slots that want a unit, parents first: those opened, and those that new units declared."""
        if tree is None:
            return [""]
        return [path for path, optional in tree.empty_slots() if not optional or path in self.paths]

    def strayed(self, tree: UnitTree) -> list[str]:
        """Paths outside of those opened at which ``tree`` is not what the parent is."""
        if self.parent is None:
            return []
        diff = self.parent.unit_tree.diff(tree)
        touched = (*diff.changed, *diff.new, *diff.gone)
        return [path for path in touched if not any(is_below(path, opened) for opened in self.paths)]


def is_below(path: str, other: str) -> bool:
    """Whether ``path`` is ``other`` or lies in the subtree there."""
    return not other or path == other or path.startswith(f"{other}.")


def site_of(request: DesignRequest, paths: Sequence[str]) -> Site:
    """Where the paths of a proposal lie: in the first parent that has them all.

    Raises
    ------
    UserError
        No parent has them.
    """
    if problem := paths_problem(request, paths):
        raise UserError(problem)
    if request.operator == "scratch" or "" in paths:
        return Site(None, ("",))
    chosen = tuple(dict.fromkeys(paths))
    parent = next(one for one in request.parents if not _lacking(one.unit_tree, chosen))
    return Site(parent, chosen)


def paths_problem(request: DesignRequest, paths: Sequence[str]) -> str:
    """What is wrong with the paths of a proposal, or ``""``."""
    if request.operator == "scratch":
        return ""
    if not paths:
        return "no slot path is named that changes"
    if request.operator == "mutation" and len(paths) != 1:
        return f"a mutation changes exactly one slot path, not {len(paths)}: {', '.join(map(place, paths))}"
    nested = [(one, other) for one in paths for other in paths if one != other and is_below(one, other)]
    if nested:
        return f"{place(nested[0][0])} lies in {place(nested[0][1])}: name the upper one only"
    problems = [_lacking(parent.unit_tree, paths) for parent in request.parents]
    if not all(problems):
        return ""
    return next(
        f"{parent.name}: {problem}" for parent, problem in zip(request.parents, problems, strict=True)
    )


def _lacking(tree: UnitTree, paths: Sequence[str]) -> str:
    for path in paths:
        try:
            tree.slot_role(path)
        except UserError as error:
            return str(error)
    return ""


# -- what


def planted(tree: UnitTree | None, path: str, part: UnitTree) -> UnitTree:
    """``tree`` with ``part`` at an open slot; texts of units that were there before stay as they are.

    Raises
    ------
    UserError
        The slot does not take its role, a side variable is missing, or a class name is taken.
    """
    if tree is None:
        if part.unit("").role != "block":
            raise UserError(f"{part.unit('').name} is a {part.unit('').role}; the root has to be a block.")
        check_class_names(part.units.values(), _is_written)
        return part.validate_tree()
    check_class_names(part.units.values(), _is_written, tree.units.values())
    kept = part.model_copy(
        update={"units": {**part.units, **{k: tree.units[k] for k in part.units if k in tree.units}}}
    )
    return tree.graft(path, kept).validate_tree()


def _is_written(unit: Unit) -> bool:
    return unit.origin == ORIGIN


def part_of(code: UnitCode, request: DesignRequest, tree: UnitTree | None) -> UnitTree:
    """The subtree that a coder wrote: its unit, and what it put into the unit's slots.

    Raises
    ------
    UserError
        A source that cannot be read, or a child that fits no slot.
    """
    part = leaf(parse_unit(code.source, ORIGIN))
    for child in sorted(code.children, key=lambda child: child.slot.count(".")):
        if not child.slot:
            raise UserError("A child names no slot.", hint="a slot path relative to the new unit")
        if child.reuse is not None:
            below = reused(child.reuse, request, tree)
        elif child.source.strip():
            below = leaf(parse_unit(child.source, ORIGIN))
        else:
            raise UserError(f"The child for slot '{child.slot}' has neither source nor reuse.")
        part = part.graft(child.slot, below)
    return part


def reused(reuse: Reuse, request: DesignRequest, tree: UnitTree | None) -> UnitTree:
    """The part that a reuse names.

    Raises
    ------
    UserError
        No such unit, parent or path.
    """
    if reuse.parent:
        parents = {parent.name: parent.unit_tree for parent in request.parents}
        if reuse.parent not in parents:
            raise unknown("parent", reuse.parent, parents)
        return parents[reuse.parent].subtree(reuse.path)
    known = dict(seed_units())
    for held in (*(parent.unit_tree for parent in request.parents), *([tree] if tree else [])):
        known |= {unit.name: unit for unit in held.units.values()}
    if reuse.unit not in known:
        raise unknown("unit", reuse.unit, known)
    return leaf(known[reuse.unit])


# -- checking what is not whole yet


def with_stand_ins(tree: UnitTree) -> UnitTree:
    """A tree whose unfilled slots hold the units of a plain transformer.

    An unfilled slot is the identity: a block of such has no parameters to size it by, and doubles its input
    in every branch. With sound units there, whatever a check finds comes from what was written. Slots that
    want side variables stay empty; their placeholder writes them.
    """
    for path in tree.unfilled():
        above, slot = split_address(path)
        spec = tree.unit(above).slots[slot]
        if spec.wants:
            continue
        if spec.role == "block":
            tree = tree.graft(path, get_seed_design("transformer_pp").tree)
        else:
            tree = tree.graft(path, leaf(seed_units()[_STAND_INS[spec.role]]))
    return tree
