"""Trees half built: what is opened, what may stand there, what stays as it was; and the duplicate gate."""

import json
from itertools import combinations
from pathlib import Path

import pytest
from agentic_makers import BLOCK, GATED, GOOD, SEEDS, code, draft, renamed, request_of
from hypothesis import given, settings
from hypothesis import strategies as st

from model_discovery.blocks.seed_designs import seed_units
from model_discovery.blocks.unit_data import accepts
from model_discovery.blocks.unit_source import parse_unit
from model_discovery.designers.agentic.duplicates import Earlier, earlier_of, nearest, similarity
from model_discovery.designers.agentic.grafting import (
    part_of,
    paths_problem,
    planted,
    reused,
    site_of,
    with_stand_ins,
)
from model_discovery.designers.agentic.schemas import ProposalDraft, Reuse, UnitCode
from model_discovery.designers.growth import leaf
from model_discovery.designers.knowledge import FailedIdea, Idea, Knowledge, KnownDesign
from model_discovery.errors import UserError

UNITS = tuple(seed_units().values())


@settings(deadline=None, max_examples=60, derandomize=True)
@given(data=st.data())
def test_nothing_outside_of_the_opened_slots_changes(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(SEEDS)))
    parent = SEEDS[name].tree
    path = data.draw(st.sampled_from(parent.paths()))
    site = site_of(request_of("mutation", name), [path])
    tree = site.opened()
    assert tree is not None and site.open_slots(tree) == [path]
    for _ in range(4):  # a few units deep; then what is still open stays so
        open_slots = site.open_slots(tree)
        if not open_slots:
            break
        slot = data.draw(st.sampled_from(open_slots))
        fitting = [unit for unit in UNITS if accepts(tree.slot_role(slot), unit.role)]
        try:
            tree = planted(tree, slot, leaf(data.draw(st.sampled_from(fitting))))
        except UserError as error:
            assert any(word in error.message for word in ("reads", "wants", "writes"))
    assert site.strayed(tree) == []
    whole = with_stand_ins(tree)
    assert site.strayed(whole) == [] and set(tree.paths()) <= set(whole.paths())
    assert all(whole.unit(other) == tree.unit(other) for other in tree.paths())


def test_strayed_sees_a_change_elsewhere() -> None:
    parent = SEEDS["transformer_pp"].tree
    site = site_of(request_of(), ["mixer"])
    assert site.strayed(parent.set_config("mixer", qk_norm=True)) == []
    assert site.strayed(parent.set_config("ffn", expansion=2.0)) == ["ffn"]


def test_stand_ins_are_a_plain_transformer() -> None:
    block = leaf(parse_unit(BLOCK))
    whole = with_stand_ins(block)
    assert not whole.unfilled() and whole.unit("mixer").name == "RotaryAttention"
    assert with_stand_ins(SEEDS["gpt2"].tree) == SEEDS["gpt2"].tree
    outer = BLOCK.replace('Slot("channel_mixer")', 'Slot("block")')
    assert with_stand_ins(leaf(parse_unit(outer))).unit("ffn.mixer").name == "RotaryAttention"


@pytest.mark.parametrize(
    ("operator", "paths", "problem"),
    [
        ("mutation", ["mixer"], ""),
        ("mutation", [""], ""),
        ("mutation", ["mixr"], "Did you mean 'mixer'"),
        ("mutation", ["mixer.inner"], "has no slot 'inner'"),
        ("mutation", ["mixer", "ffn"], "exactly one slot path, not 2"),
        ("crossover", ["mixer", "ffn"], ""),
        ("crossover", ["mixer", "mixer.x"], "'mixer.x' lies in 'mixer'"),
        ("crossover", ["", "ffn"], "'ffn' lies in the root"),
        ("crossover", [], "no slot path is named"),
        ("scratch", ["whatever"], ""),
    ],
)
def test_paths(operator: str, paths: list[str], problem: str) -> None:
    said = paths_problem(request_of(operator), paths)
    assert problem in said if problem else not said


def test_paths_may_be_those_of_another_parent() -> None:
    crossing = request_of("crossover", "min_gru", "samba")
    lone = next(
        path
        for path in SEEDS["samba"].tree.paths()
        if paths_problem(request_of("mutation", "min_gru"), [path])
    )
    site = site_of(crossing, [lone])
    assert site.parent is not None and site.parent.name == "samba"


def test_texts_that_were_there_stay() -> None:
    """A unit written again with other words is the same unit; the parent's text is kept."""
    parent = SEEDS["transformer_pp"].tree
    norm = parent.unit("mixer_norm")
    retold = parse_unit(norm.source.replace(norm.summary, "Some other words"), "agentic")
    assert retold.id == norm.id and retold.docstring != norm.docstring
    tree = planted(parent.graft("mixer_norm", None), "mixer_norm", leaf(retold))
    assert tree.unit("mixer_norm") == norm


def test_a_root_has_to_be_a_block() -> None:
    with pytest.raises(UserError, match="has to be a block"):
        planted(None, "", leaf(parse_unit(GOOD)))
    assert planted(None, "", leaf(parse_unit(BLOCK))).unfilled() == ("norm", "mixer", "ffn")


def test_children_of_a_coder() -> None:
    request = request_of("mutation", "retnet")
    inner = {"slot": "inner", "source": renamed(GATED, "Second"), "reuse": None}
    below = {"slot": "inner.inner", "source": "", "reuse": {"unit": "", "parent": "retnet", "path": "mixer"}}
    part = part_of(UnitCode.model_validate(code(GATED, below, inner)), request, None)
    assert [unit.name for _, _, unit in part.walk()] == ["OpenedMixer", "Second", "Retention"]
    for child, message in (
        ({"slot": "", "source": GOOD}, "names no slot"),
        ({"slot": "inner"}, "neither source nor reuse"),
        ({"slot": "inner", "reuse": {"unit": "Retensions"}}, "Did you mean 'Retention'"),
        ({"slot": "inner", "reuse": {"parent": "retnets"}}, "Unknown parent 'retnets'"),
        ({"slot": "inner", "reuse": {"parent": "retnet", "path": "mixr"}}, "has no slot 'mixr'"),
        ({"slot": "inner", "reuse": {"unit": "GatedMLP"}}, "asks for a sequence_mixer"),
    ):
        with pytest.raises(UserError, match=message):
            part_of(UnitCode.model_validate(code(GATED, child)), request, None)


def test_a_unit_by_name_is_first_the_trees_own() -> None:
    own = leaf(parse_unit(renamed(GOOD, "Mine"), "agentic"))
    tree = SEEDS["retnet"].tree.graft("mixer", own)
    assert reused(Reuse(unit="Mine"), request_of(), tree) == own


# -- duplicates


def earlier(title: str, abstract: str, **more: object) -> Earlier:
    return Earlier(title, abstract, "seen", **more)  # type: ignore[arg-type]


def test_the_same_words_are_a_twin_others_are_not() -> None:
    mine = ProposalDraft.model_validate(draft("A mean that fades"))
    known = Knowledge(
        designs=(
            KnownDesign(name="a", relation="sibling", origin="agentic", title="Keys turned by learnt angles",
                        summary="Angles turn keys, slowly.", status="refused by the checks"),
        ),
        ideas=(
            Idea(design="b", claim=mine.abstract, prediction="lower", verdict="wrong", evidence="+0.02 nats"),
        ),
        failed=(FailedIdea(title="Experts by a hash", abstract="A hash picks them.", reason="rated 2"),),
    )  # fmt: skip
    twins = nearest(mine, ("transformer_pp",), earlier_of(known))
    assert twins[0].similarity == 1.0 and twins[0].outcome == "+0.02 nats; its prediction turned out wrong"
    assert all(twin.similarity < 0.3 for twin in twins[1:])
    assert {twin.outcome for twin in twins[1:]} == {"refused by the checks", "failed: rated 2"}
    assert nearest(mine, (), []) == []


def test_the_same_mechanism_at_the_same_place_is_a_twin_whatever_the_words() -> None:
    at = {"parents": ("retnet",), "paths": ("mixer",), "equations": "y_t = a y_{t-1} + x_t"}
    one = earlier("Decay by content", "The pace follows the token.", **at)
    other = earlier(
        "Forgetting at will",
        "What is old goes as the input says.",
        **{**at, "equations": "y_t=a y_{t-1}+x_t"},
    )
    assert similarity(one, other) == 1.0
    elsewhere = earlier(
        "Forgetting at will", "What is old goes as the input says.", **{**at, "paths": ("ffn",)}
    )
    assert similarity(one, elsewhere) < 0.3
    assert similarity(one, earlier("Content: decay by", "Quite other words", parents=("retnet",))) == 1.0
    assert similarity(one, earlier("Content: decay by", "Quite other words", parents=("gpt2",))) < 0.9


def test_the_mark_on_real_abstracts(shared_data: Path) -> None:
    """Two papers never come near 0.9; a tenth of the words left out stays near it."""
    lines = (shared_data / "papers" / "references.jsonl").read_text().splitlines()[:80]
    papers = [
        earlier(paper["title"], paper["abstract"])
        for paper in map(json.loads, lines)
        if paper.get("abstract")
    ]
    assert max(similarity(one, other) for one, other in combinations(papers, 2)) < 0.6
    for paper in papers:
        words = paper.abstract.split()
        kept = " ".join(word for number, word in enumerate(words) if number % 20)
        assert similarity(paper, earlier(paper.title, kept)) > 0.9
