"""Single changes of a tree: what mutation and crossover are made of. Draws are from the given generator."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import permutations

from model_discovery.blocks.unit_data import Node, Unit, accepts
from model_discovery.blocks.unit_tree import UnitTree
from model_discovery.designers.growth import (
    Library,
    change_config,
    grow,
    leaf,
    pick,
    slot_roles,
    tunable,
    usual_norm,
)

# How often a change falls on a place of each role: mixers matter most, norms least.
_INTEREST = {"sequence_mixer": 4.0, "channel_mixer": 2.0, "block": 1.0, "local_mixer": 1.0, "norm": 0.25}
_CONTAINER_SWAP = 0.3
_TWO_FIELDS = 0.3


@dataclass(frozen=True)
class Move:
    """A changed tree, where it changed, in words, and the papers that the change draws on."""

    tree: UnitTree
    path: str
    change: str
    title: str
    papers: tuple[str, ...] = ()


MoveFunction = Callable[[UnitTree, random.Random, Library], Move | None]


def cite(unit: Unit) -> str:
    """A unit's name with its first paper."""
    return f"{unit.name} (arXiv {unit.papers[0]})" if unit.papers else unit.name


def contents(tree: UnitTree) -> str:
    """A subtree in words: its unit, and what its slots hold."""
    unit = tree.unit("")
    held = [f"{slot}: {tree.unit(slot).name}" for slot in unit.slots if tree.root.slots.get(slot) is not None]
    return f"{cite(unit)} with {', '.join(held)}" if held else cite(unit)


def where(path: str) -> str:
    """A place in words."""
    return f"slot '{path}'" if path else "the wiring of the block"


def papers_of(tree: UnitTree) -> tuple[str, ...]:
    """First papers of the tree's units, once each."""
    return tuple(dict.fromkeys(unit.papers[0] for _, _, unit in tree.walk() if unit.papers))


# -- moves on one tree


def swap(tree: UnitTree, rng: random.Random, library: Library) -> Move | None:
    """Another unit of an accepted role in a slot; children that fit the new unit stay."""
    path = _place(tree, rng)
    old = tree.unit(path)
    candidates = [unit for unit in library.fitting(tree.slot_role(path)) if _may_replace(tree, path, unit)]
    weights = [_CONTAINER_SWAP if unit.slots and path else 1.0 for unit in candidates]
    new = pick(rng, candidates, weights)
    if new is None:
        return None
    norm = usual_norm(tree)
    subtree = _replace_unit(tree.subtree(path), new, lambda role: grow(role, rng, library, norm, depth=1))
    changed = tree.graft(path, subtree)
    change = f"{where(path)}: {contents(subtree) if path else cite(new)} in place of {old.name}"
    return Move(changed, path, change, f"{new.name} for {old.name}", new.papers[:1])


def _may_replace(tree: UnitTree, path: str, unit: Unit) -> bool:
    """Another unit; at the root one that has a place for every kind of mixer that is there now."""
    if unit.id == tree.node(path).unit:
        return False
    held = slot_roles(tree.unit(path)) & {"sequence_mixer", "channel_mixer"}
    return bool(path) or held <= slot_roles(unit)


def _replace_unit(old: UnitTree, unit: Unit, fill: Callable[[str], UnitTree | None]) -> UnitTree:
    """``unit`` with the old root's children, by slot name, then by role; ``fill`` gives the rest."""
    left = {slot: old.subtree(slot) for slot in old.unit("").slots if old.root.slots.get(slot) is not None}
    new = leaf(unit)
    kept = [
        slot
        for slot in unit.slots
        if slot in left and accepts(unit.slots[slot].role, left[slot].unit("").role)
    ]
    for slot in kept:
        new = new.graft(slot, left.pop(slot))
    for slot, spec in unit.slots.items():
        if slot in kept or spec.optional:
            continue
        same = next((name for name, child in left.items() if accepts(spec.role, child.unit("").role)), None)
        child = left.pop(same) if same is not None else fill(spec.role)
        if child is not None:
            new = new.graft(slot, child)
    return new


def perturb(tree: UnitTree, rng: random.Random, library: Library) -> Move | None:
    """One or two hyper-parameters of a unit moved within their ranges."""
    places = [(path, unit) for path, _, unit in tree.walk() if tunable(unit)]
    place = pick(rng, places, [_INTEREST[unit.role] for _, unit in places])
    if place is None:
        return None
    path, unit = place
    changed = change_config(tree, path, rng, fields=2 if rng.random() < _TWO_FIELDS else 1)
    if changed is None:
        return None
    before, after = tree.config(path), changed.config(path)
    moved = [name for name in after if after[name] != before[name]]
    words = ", ".join(f"{name} from {_value(before[name])} to {_value(after[name])}" for name in moved)
    return Move(
        changed, path, f"{where(path)}: {unit.name} with {words}", f"{unit.name} with other {moved[0]}"
    )


def _value(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def wrap(tree: UnitTree, rng: random.Random, library: Library) -> Move | None:
    """A container around a unit, its other slots grown: a local mixer before it, or a mixer beside it."""
    options = [
        (path, old, container, slot)
        for path, _, old in tree.walk()
        if path
        for container in library.fitting(tree.slot_role(path))
        for slot, spec in container.slots.items()
        if accepts(spec.role, old.role) and container.id != old.id
    ]
    option = pick(rng, options, [_INTEREST[old.role] for _, old, _, _ in options])
    if option is None:
        return None
    path, old, container, slot = option
    wrapped = leaf(container).graft(slot, tree.subtree(path))
    added: list[UnitTree] = []
    for name, spec in container.slots.items():
        child = (
            None
            if name == slot or spec.optional
            else grow(spec.role, rng, library, usual_norm(tree), depth=1)
        )
        if child is not None:
            wrapped = wrapped.graft(name, child)
            added.append(child)
    beside = f", with {' and '.join(contents(child) for child in added)}" if added else ""
    change = f"{where(path)}: {cite(container)} around {old.name}{beside}"
    title = f"{' and '.join(child.unit('').name for child in added) or container.name} beside {old.name}"
    papers = (*container.papers[:1], *(paper for child in added for paper in papers_of(child)))
    return Move(tree.graft(path, wrapped), path, change, title, papers)


def unwrap(tree: UnitTree, rng: random.Random, library: Library) -> Move | None:
    """A container taken away, one of its children in its place."""
    options = [
        (path, slot)
        for path, node, unit in tree.walk()
        if path
        for slot in unit.slots
        if node.slots.get(slot) is not None and _fits_above(tree, path, slot)
    ]
    if not options:
        return None
    path, slot = rng.choice(options)
    container, child = tree.unit(path), tree.subtree(f"{path}.{slot}")
    change = f"{where(path)}: {contents(child)} alone, {container.name} around it taken away"
    return Move(tree.graft(path, child), path, change, f"{child.unit('').name} without {container.name}")


def _fits_above(tree: UnitTree, path: str, slot: str) -> bool:
    return accepts(tree.slot_role(path), tree.unit(f"{path}.{slot}").role)


def transplant(tree: UnitTree, rng: random.Random, library: Library) -> Move | None:
    """A subtree of a human design in one of the tree's slots, hyper-parameters included."""
    if not library.designs:
        return None
    name, donor = rng.choice(library.designs)
    graft = graft_from(tree, donor, rng, name)
    if graft is None:
        return None
    return Move(graft.tree, graft.path, graft.change, f"{graft.title} of {name}", graft.papers)


# -- moves between trees


def graft_from(
    tree: UnitTree, donor: UnitTree, rng: random.Random, donor_name: str, taken: Sequence[str] = ()
) -> Move | None:
    """A subtree of ``donor`` at an accepting slot of ``tree`` that is apart from the paths in ``taken``."""
    places = [path for path in tree.paths() if not any(related(path, other) for other in taken)]
    hashes = {path: tree.subtree(path).structure_hash for path in places}
    sources = [(path, donor.subtree(path)) for path in donor.paths()]
    options = [
        (path, subtree)
        for path in places
        for _, subtree in sources
        if accepts(tree.slot_role(path), subtree.unit("").role) and subtree.structure_hash != hashes[path]
    ]
    option = pick(rng, options, [_graft_weight(tree, path, subtree) for path, subtree in options])
    if option is None:
        return None
    path, subtree = option
    change = f"{where(path)}: {contents(subtree)} of {donor_name} in place of {tree.unit(path).name}"
    title = f"{subtree.unit('').name} for {tree.unit(path).name}"
    return Move(tree.graft(path, subtree), path, change, title, papers_of(subtree))


def join_from(
    tree: UnitTree, donor: UnitTree, rng: random.Random, donor_name: str, library: Library
) -> Move | None:
    """A unit of ``tree`` and a subtree of ``donor`` together in a container that has a slot for each."""
    sources = [donor.subtree(path) for path in donor.paths()]
    options = [
        (path, container, own, other, subtree)
        for path in tree.paths()
        for container in library.fitting(tree.slot_role(path))
        for own, other in permutations(_needed(container), 2)
        for subtree in sources
        if accepts(container.slots[own].role, tree.unit(path).role)
        and accepts(container.slots[other].role, subtree.unit("").role)
        and len(_needed(container)) == 2
    ]
    option = pick(rng, options, [_INTEREST[tree.slot_role(path)] for path, *_ in options])
    if option is None:
        return None
    path, container, own, other, subtree = option
    joined = leaf(container).graft(own, tree.subtree(path)).graft(other, subtree)
    change = (
        f"{where(path)}: {cite(container)} of {tree.unit(path).name} and {contents(subtree)} of {donor_name}"
    )
    title = f"{subtree.unit('').name} beside {tree.unit(path).name}"
    return Move(tree.graft(path, joined), path, change, title, (*container.papers[:1], *papers_of(subtree)))


def _needed(unit: Unit) -> list[str]:
    return [slot for slot, spec in unit.slots.items() if not spec.optional]


def rewire_from(
    tree: UnitTree, donor: UnitTree, rng: random.Random, donor_name: str, library: Library
) -> Move | None:
    """Another wiring of the block with room for more mixers, filled from ``donor``: hybrids over layers."""
    candidates = [unit for unit in library.fitting("block") if _may_replace(tree, "", unit)]
    new = rng.choice(candidates) if candidates else None
    if new is None:
        return None
    taken: list[UnitTree] = []

    def fill(role: str) -> UnitTree | None:
        fitting = [donor.subtree(path) for path in donor.paths() if donor.unit(path).role == role]
        if not fitting:
            return None
        taken.append(rng.choice(fitting))
        return taken[-1]

    changed = _replace_unit(tree, new, fill)
    mixers = [subtree for subtree in taken if subtree.unit("").role != "norm"]
    if not mixers:
        return None
    held = " and ".join(contents(subtree) for subtree in mixers)
    change = f"{where('')}: {cite(new)} in place of {tree.unit('').name}, with {held} of {donor_name}"
    papers = (*new.papers[:1], *(paper for subtree in mixers for paper in papers_of(subtree)))
    return Move(changed, "", change, f"{new.name} with {mixers[0].unit('').name}", papers)


def _graft_weight(tree: UnitTree, path: str, subtree: UnitTree) -> float:
    """Other units are more interesting than other values of the same unit."""
    new = subtree.unit("")
    same = new.id == tree.node(path).unit
    return _INTEREST[tree.slot_role(path)] * (0.3 if same and not new.slots else 1.0)


def related(path: str, other: str) -> bool:
    """Whether one path is the other or lies below it; the root counts as apart from its slots."""
    return path == other or path.startswith(f"{other}.") or other.startswith(f"{path}.")


def _place(tree: UnitTree, rng: random.Random) -> str:
    entries: list[tuple[str, Node, Unit]] = list(tree.walk())
    weights = [_INTEREST[tree.slot_role(path)] for path, _, _ in entries]
    return rng.choices([path for path, _, _ in entries], weights=weights)[0]
