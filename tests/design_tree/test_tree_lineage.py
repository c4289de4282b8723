"""Who came from whom, and the hash of a campaign's way."""

import dataclasses

import networkx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tree_makers import child, make_campaign, seed_design

from model_discovery.design_tree import DesignRow, DesignTree, NewDecision, Parent, lineage


@pytest.fixture
def tree() -> DesignTree:
    """Two seeds; a and b of the first, c a crossover of a and the second, d of c and of the first."""
    tree = DesignTree("sqlite://")
    campaign = make_campaign(tree)
    for new in (
        seed_design("s1"),
        seed_design("s2"),
        child("a", ("s1", "")),
        child("b", ("s1", "mixer")),
        child("c", ("a", ""), ("s2", "mixer"), operator="crossover"),
        child("d", ("c", ""), ("s1", "mixer.inner"), operator="crossover"),
    ):
        tree.add_design(campaign.id, new)
    return tree


def test_views(tree: DesignTree) -> None:
    graph = tree.lineage(1)
    assert set(graph.edges) == {("s1", "a"), ("s1", "b"), ("a", "c"), ("s2", "c"), ("c", "d"), ("s1", "d")}
    assert graph.nodes["c"]["operator"] == "crossover" and graph.edges["s2", "c"]["paths"] == ("mixer",)
    assert lineage.ancestors(graph, "c") == {"s1", "s2", "a"}
    assert lineage.siblings(graph, "a") == {"b", "d"}
    assert lineage.siblings(graph, "s1") == set()
    assert lineage.generations(graph) == {"s1": 0, "s2": 0, "a": 1, "b": 1, "c": 2, "d": 3}
    thin = lineage.reduced(graph)
    assert set(graph.edges) - set(thin.edges) == {("s1", "d")}
    assert thin.nodes["c"] == graph.nodes["c"] and thin.edges["s2", "c"] == graph.edges["s2", "c"]


def test_parent_taken_twice_is_one_edge_with_both_paths() -> None:
    with DesignTree("sqlite://") as tree:
        campaign = make_campaign(tree)
        tree.add_design(campaign.id, seed_design("s"))
        tree.add_design(campaign.id, child("x", ("s", ""), ("s", "mixer")))
        assert tree.lineage(campaign.id).edges["s", "x"]["paths"] == ("", "mixer")


def test_hash_follows_the_way_and_nothing_else(tree: DesignTree) -> None:
    rows = tree.designs(1)
    choices = [("design", {"parents": ["s1"], "applied": 0}), ("verify", {"design": "a", "scale": "0.1M"})]
    reference = lineage.lineage_hash(rows, choices)
    assert len(reference) == 16

    def changed(position: int, **changes: object) -> list[DesignRow]:
        return [dataclasses.replace(r, **changes) if i == position else r for i, r in enumerate(rows)]  # type: ignore[arg-type]

    for same in (
        changed(2, created=0.0),
        changed(2, id=99),
        changed(2, status="verified"),
        changed(2, sizes={}),
    ):
        assert lineage.lineage_hash(same, choices) == reference
    for other in (
        changed(2, structure_hash="new"),
        changed(2, operator="scratch"),
        changed(2, parents=(Parent("s2", ""),)),
        changed(3, parents=(Parent("s1", ""),)),
        rows[:-1],
        [*rows[:2], rows[3], rows[2], *rows[4:]],
    ):
        assert lineage.lineage_hash(other, choices) != reference
    scored = [(kind, {**chosen, "score": 0.123}) for kind, chosen in choices]
    assert lineage.lineage_hash(rows, scored) == reference
    assert lineage.lineage_hash(rows, choices[::-1]) != reference


def test_hash_of_a_tree_is_that_of_its_rows(tree: DesignTree) -> None:
    before = tree.lineage_hash(1)
    tree.submit_job(1, "design", {}, NewDecision("design", {"parents": ["s1"]}))
    after = tree.lineage_hash(1)
    assert before != after
    assert after == lineage.lineage_hash(tree.designs(1), [("design", {"parents": ["s1"]})])


@st.composite
def families(draw: st.DrawFn) -> list[DesignRow]:
    """Designs whose parents came before them."""
    rows: list[DesignRow] = []
    for number in range(draw(st.integers(0, 12))):
        indices = draw(st.lists(st.integers(0, number - 1), max_size=3)) if number else []
        parents = tuple(Parent(f"d{index}", "") for index in indices)
        rows.append(
            DesignRow(number, 1, f"d{number}", "genetic", None, "valid", f"h{number}", 0.0, {}, parents)
        )
    return rows


@given(families())
def test_laws_of_the_graph(rows: list[DesignRow]) -> None:
    graph = lineage.graph(rows)
    assert networkx.is_directed_acyclic_graph(graph) and set(graph) == {row.name for row in rows}
    generations = lineage.generations(graph)
    assert all(generations[parent] < generations[name] for parent, name in graph.edges)
    thin = lineage.reduced(graph)
    for row in rows:
        assert lineage.ancestors(thin, row.name) == lineage.ancestors(graph, row.name)
        assert row.name not in lineage.siblings(graph, row.name)
