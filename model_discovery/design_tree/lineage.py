"""Views of who came from whom, as networkx graphs, and the hash of a whole campaign's way."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from model_discovery.design_tree.rows import DesignRow, Json

if TYPE_CHECKING:
    import networkx


def graph(designs: Sequence[DesignRow]) -> "networkx.DiGraph[str]":
    """A directed acyclic graph: nodes are names, edges run from parent to child.

    Nodes carry ``id``, ``origin``, ``operator``, ``status`` and ``structure_hash``; edges ``paths``, the slot
    paths that the child took from this parent, in order.
    """
    import networkx

    tree = networkx.DiGraph()
    for row in designs:
        tree.add_node(
            row.name,
            id=row.id,
            origin=row.origin,
            operator=row.operator,
            status=row.status,
            structure_hash=row.structure_hash,
        )
        for parent in row.parents:
            if tree.has_edge(parent.name, row.name):
                tree.edges[parent.name, row.name]["paths"] += (parent.path,)
            else:
                tree.add_edge(parent.name, row.name, paths=(parent.path,))
    return tree


def ancestors(tree: "networkx.DiGraph[str]", name: str) -> set[str]:
    """All designs that ``name`` comes from, itself left out."""
    import networkx

    return set(networkx.ancestors(tree, name))


def siblings(tree: "networkx.DiGraph[str]", name: str) -> set[str]:
    """Designs that share at least one parent with ``name``."""
    return {child for parent in tree.predecessors(name) for child in tree.successors(parent)} - {name}


def generations(tree: "networkx.DiGraph[str]") -> dict[str, int]:
    """Distance from the roots: 0 without parents, else one more than the latest of the parents."""
    import networkx

    found: dict[str, int] = {}
    for name in networkx.topological_sort(tree):
        found[name] = 1 + max((found[parent] for parent in tree.predecessors(name)), default=-1)
    return found


def reduced(tree: "networkx.DiGraph[str]") -> "networkx.DiGraph[str]":
    """The transitive reduction, for drawing: an edge is left out when a longer way says the same."""
    import networkx

    thin = networkx.transitive_reduction(tree)
    thin.add_nodes_from(tree.nodes(data=True))
    thin.add_edges_from((parent, child, tree.edges[parent, child]) for parent, child in thin.edges)
    return thin


def lineage_hash(designs: Sequence[DesignRow], choices: Iterable[tuple[str, Json]]) -> str:
    """Sixteen hexadecimal digits that two campaigns share when they went the same way.

    What enters: each design's structure, origin, operator and parents; each decision's kind and choice.
    Left out: times, and every float, since scores differ in their last digits between machines.
    """
    digest = hashlib.sha256()
    structure = {row.name: row.structure_hash for row in designs}
    for row in designs:
        parents = [[structure.get(parent.name), parent.path] for parent in row.parents]
        _feed(digest, ["design", row.structure_hash, row.origin, row.operator, parents])
    for kind, chosen in choices:
        _feed(digest, ["decision", kind, _without_floats(chosen)])
    return digest.hexdigest()[:16]


def _feed(digest: Any, item: list[Any]) -> None:
    digest.update(json.dumps(item, sort_keys=True, separators=(",", ":")).encode() + b"\n")


def _without_floats(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_floats(item) for key, item in value.items() if not isinstance(item, float)}
    if isinstance(value, list | tuple):
        return [_without_floats(item) for item in value if not isinstance(item, float)]
    return value
