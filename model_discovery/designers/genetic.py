"""The genetic designer: mutation, crossover and random blocks over the unit library, without any LLM."""

import random
from collections.abc import Callable

from model_discovery.blocks.unit_tree import UnitTree
from model_discovery.designers.growth import Library, grow_block, library_of, pick, too_large
from model_discovery.designers.loop import Draft
from model_discovery.designers.moves import (
    Move,
    MoveFunction,
    cite,
    contents,
    graft_from,
    join_from,
    papers_of,
    perturb,
    related,
    rewire_from,
    swap,
    transplant,
    unwrap,
    where,
    wrap,
)
from model_discovery.designers.requests import DesignRequest, NothingNew, ParentDesign, Proposal
from model_discovery.errors import UserError

TRIES = 200
MUTATIONS: tuple[tuple[MoveFunction, float], ...] = (
    (swap, 0.35),
    (perturb, 0.15),
    (wrap, 0.2),
    (unwrap, 0.1),
    (transplant, 0.2),
)
"""The moves of a mutation and how often each is tried."""

_SECOND_MOVE = 0.15
_SECOND_GRAFT = 0.3
_REWIRE = 0.15
_JOIN = 0.25


def propose(request: DesignRequest, rng: random.Random) -> Draft:
    """A new tree and what is new about it; the same request and generator state give the same ones.

    Parameters
    ----------
    request
        Its operator, parents and ``avoid`` count; the instruction is not read.
    rng
        Every draw is from here.

    Raises
    ------
    NothingNew
        ``TRIES`` draws gave only structures that exist already.
    UserError
        The operator needs more parents than were given.
    """
    needed = {"scratch": 0, "mutation": 1, "crossover": 2}[request.operator]
    if len(request.parents) < needed:
        raise UserError(f"A {request.operator} needs {needed} parents, {len(request.parents)} given.")
    library = library_of(parent.unit_tree for parent in request.parents)
    known = {*request.avoid, *(parent.unit_tree.structure_hash for parent in request.parents)}
    for _ in range(TRIES):
        draft = _OPERATORS[request.operator](request, rng, library)
        if draft is not None and draft[0].structure_hash not in known and is_sound(draft[0]):
            return draft
    names = ", ".join(parent.name for parent in request.parents) or "the library"
    raise NothingNew(f"No new structure by {request.operator} from {names} in {TRIES} draws.")


def is_sound(tree: UnitTree) -> bool:
    """Whether a draft is worth checking: no empty slot, not too large, and all rules of trees kept."""
    if too_large(tree) or tree.unfilled():
        return False
    try:
        tree.validate_tree()
    except UserError:  # a side variable that nothing writes in the new place: not a draft worth checking
        return False
    return True


def _mutate(request: DesignRequest, rng: random.Random, library: Library) -> Draft | None:
    parent = rng.choice(request.parents)
    first = _move(parent.unit_tree, rng, library)
    if first is None:
        return None
    moves = [first]
    second = _move(first.tree, rng, library) if rng.random() < _SECOND_MOVE else None
    if second is not None and not related(first.path, second.path):
        moves.append(second)
    changes = tuple(move.change for move in moves)
    proposal = Proposal(
        title=f"{parent.name}: {' and '.join(move.title for move in moves)}",
        summary=f"Changes {parent.name} in {_and(_places(moves))}. {_sentences(changes)}",
        changes=changes,
        operator="mutation",
        path=first.path if first.path in ("", *moves[-1].tree.paths()) else moves[-1].path,
        papers=_papers(moves),
    )
    return moves[-1].tree, proposal


def _move(tree: UnitTree, rng: random.Random, library: Library) -> Move | None:
    function = pick(rng, [move for move, _ in MUTATIONS], [share for _, share in MUTATIONS])
    return function(tree, rng, library) if function is not None else None


def _cross(request: DesignRequest, rng: random.Random, library: Library) -> Draft | None:
    base, donor = rng.sample(request.parents, 2)
    moves = _combine(base, donor, rng, library)
    if not moves:
        return None
    changes = tuple(move.change for move in moves)
    proposal = Proposal(
        title=f"{base.name} with {' and '.join(move.title for move in moves)} from {donor.name}",
        summary=f"Crosses {base.name} with {donor.name}. {_sentences(changes)}",
        changes=changes,
        operator="crossover",
        path=moves[0].path,
        papers=_papers(moves),
    )
    return moves[-1].tree, proposal


def _combine(base: ParentDesign, donor: ParentDesign, rng: random.Random, library: Library) -> list[Move]:
    """One or two subtrees of the donor in slots of the base, or both parents' parts side by side."""
    draw = rng.random()
    if draw < _REWIRE:
        move = rewire_from(base.unit_tree, donor.unit_tree, rng, donor.name, library)
        return [move] if move is not None else []
    if draw < _REWIRE + _JOIN:
        move = join_from(base.unit_tree, donor.unit_tree, rng, donor.name, library)
        return [move] if move is not None else []
    moves: list[Move] = []
    tree = base.unit_tree
    for _ in range(2 if rng.random() < _SECOND_GRAFT else 1):
        move = graft_from(tree, donor.unit_tree, rng, donor.name, taken=[done.path for done in moves])
        if move is not None:
            moves.append(move)
            tree = move.tree
    return moves


def _scratch(request: DesignRequest, rng: random.Random, library: Library) -> Draft | None:
    tree = grow_block(rng, library)
    if tree is None:
        return None
    unit = tree.unit("")
    children = [(slot, tree.subtree(slot)) for slot in unit.slots if tree.root.slots.get(slot) is not None]
    changes = (
        f"{where('')}: {cite(unit)}",
        *(f"{where(slot)}: {contents(child)}" for slot, child in children),
    )
    mixers = [child.unit("").name for _, child in children if child.unit("").role != "norm"]
    proposal = Proposal(
        title=f"{unit.name} of {' and '.join(mixers)}",
        summary=f"A new block from the unit library: {contents(tree)}.",
        changes=changes,
        operator="scratch",
        path="",
        papers=papers_of(tree),
    )
    return tree, proposal


_OPERATORS: dict[str, Callable[[DesignRequest, random.Random, Library], Draft | None]] = {
    "mutation": _mutate,
    "crossover": _cross,
    "scratch": _scratch,
}


def _places(moves: list[Move]) -> list[str]:
    return list(dict.fromkeys(where(move.path) for move in moves))


def _papers(moves: list[Move]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(paper for move in moves for paper in move.papers))


def _and(words: list[str]) -> str:
    return " and ".join(words)


def _sentences(changes: tuple[str, ...]) -> str:
    return " ".join(f"{change[0].upper()}{change[1:]}." for change in changes)
