"""The shipped cards: sound, linked to units both ways and to each other; what is wrong in a file is told."""

import datetime
import json
import re
from collections import Counter
from pathlib import Path

import networkx as nx
import pytest
import yaml

from model_discovery.blocks.seed_designs import seed_designs, seed_units
from model_discovery.errors import UserError
from model_discovery.library import Card, load_cards
from model_discovery.shipped import shipped_folder

CARD = {
    "title": "A Title",
    "authors": ["Ada Lovelace"],
    "year": 2020,
    "arxiv": "2002.05200",
    "tags": ["attention"],
    "idea": "A thought.",
}


@pytest.fixture(scope="module")
def cards() -> dict[str, Card]:
    return load_cards()


def write(folder: Path, name: str, **changes: object) -> Path:
    """A card's file; a key with the value None is left out."""
    data = {key: value for key, value in (CARD | changes).items() if value is not None}
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump(data, sort_keys=False, default_flow_style=None))
    return file


# -- what ships


def test_there_are_many_and_each_paper_has_one(cards) -> None:
    assert len(cards) >= 120
    for key in ("arxiv", "doi", "title"):
        values = Counter(value.lower() for card in cards.values() if (value := getattr(card, key)))
        assert [value for value, times in values.items() if times > 1] == []


def test_years_are_sane_and_agree_with_arxiv(cards) -> None:
    for card in cards.values():
        assert 1990 <= card.year <= datetime.date.today().year, card.id
        if card.arxiv:
            assert int(card.arxiv[:2]) == card.year % 100, card.id
        assert card.arxiv or card.doi, card.id


def test_every_paper_a_unit_cites_has_a_card_that_names_the_unit_and_no_other(cards) -> None:
    cited = {(paper, unit.name) for unit in seed_units().values() for paper in unit.papers}
    carded = {(card.arxiv, unit) for card in cards.values() for unit in card.implemented_by}
    assert cited == carded
    assert {unit for _, unit in carded} == set(seed_units())


def test_every_paper_of_a_seed_design_has_a_card(cards) -> None:
    known = {card.arxiv for card in cards.values()}
    assert {paper for design in seed_designs().values() for paper in design.papers} <= known


def test_cards_build_on_older_ones_without_a_circle(cards) -> None:
    links = nx.DiGraph((card.id, other) for card in cards.values() for other in card.builds_on)
    assert nx.is_directed_acyclic_graph(links)
    for card in cards.values():
        assert all(cards[other].year <= card.year for other in card.builds_on), card.id
        assert len(set(card.builds_on)) == len(card.builds_on)


def test_most_cards_hang_together(cards) -> None:
    links = nx.Graph((card.id, other) for card in cards.values() for other in card.builds_on)
    links.add_nodes_from(cards)
    assert len(max(nx.connected_components(links), key=len)) >= 0.9 * len(cards)


def test_ideas_are_of_a_readable_length_and_say_nothing_twice(cards) -> None:
    told = Counter()
    for card in cards.values():
        sentences = re.split(r"(?<=[.?])\s+", card.idea)
        told.update(set(sentences))
        assert 3 <= len(sentences) <= 9, card.id
        assert 60 <= len(card.idea.split()) <= 140, card.id
        assert 10 <= len(card.equations) <= 500, card.id
        assert max(map(len, card.equations.splitlines())) <= 130, card.id
    assert [sentence for sentence, times in told.items() if times > 1] == []


def test_tags_are_few_words_used_often(cards) -> None:
    tags = Counter(tag for card in cards.values() for tag in card.tags)
    assert len(tags) <= 30
    assert min(tags.values()) >= 2


def test_lines_of_the_files_stay_short() -> None:
    for file in shipped_folder("library/papers").glob("*.yaml"):
        assert max(map(len, file.read_text("utf-8").splitlines())) <= 140, file.name


def test_nothing_is_copied_from_the_abstracts_at_hand(cards, shared_data) -> None:
    """No seven words in a row of a card stand in the abstract of a paper."""

    def runs(text: str) -> set[tuple[str, ...]]:
        words = re.findall(r"[a-z0-9]+", text.lower())
        return {tuple(words[i : i + 7]) for i in range(len(words) - 6)}

    lines = (shared_data / "papers" / "references.jsonl").read_text("utf-8").splitlines()
    abstracts = set().union(*(runs(json.loads(line).get("abstract") or "") for line in lines))
    copied = {card.id: found for card in cards.values() if (found := runs(card.idea) & abstracts)}
    assert copied == {}


# -- how they are read


def test_a_card_becomes_a_paper_and_passages(tmp_path) -> None:
    write(tmp_path, "one", equations="y = f(x)", implemented_by=["MLP"], doi="10.1/x", venue="ICML")
    card = load_cards(tmp_path)["one"]
    paper = card.paper()
    assert (paper.id, paper.source, paper.authors, paper.arxiv) == (
        "one",
        "cards",
        ("Ada Lovelace",),
        "2002.05200",
    )
    assert (paper.implemented_by, paper.doi, paper.venue) == (("MLP",), "10.1/x", "ICML")
    assert [(passage.section, passage.text) for passage in card.passages()] == [
        ("idea", "A thought."),
        ("equations", "y = f(x)"),
    ]


def test_without_equations_there_is_one_passage(tmp_path) -> None:
    write(tmp_path, "one")
    assert [passage.section for passage in load_cards(tmp_path)["one"].passages()] == ["idea"]


def test_cards_come_in_the_order_of_their_ids(tmp_path) -> None:
    for name in ("b", "c", "a"):
        write(tmp_path, name)
    assert list(load_cards(tmp_path)) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"autors": ["x"]}, ("line 7", "'autors'", "Did you mean 'authors'?")),
        ({"year": 3020}, ("line 3", "'year'")),
        ({"idea": None}, ("'idea'", "required")),
        ({"arxiv": 2002.052}, ("line 4", "'arxiv'", "without the quotes")),
        ({"arxiv": "2002-05200"}, ("line 4", "'arxiv'", "such as")),
        ({"builds_on": ["twos"]}, ("line 7", "no card 'twos'", "Did you mean 'two'?")),
        ({"id": "one"}, ("line 7", "name of its file")),
    ],
)
def test_what_is_wrong_is_said_with_file_and_line(tmp_path, changes, words) -> None:
    file = write(tmp_path, "one", **changes)
    write(tmp_path, "two")
    with pytest.raises(UserError) as error:
        load_cards(tmp_path)
    for word in (str(file), *words):
        assert word in str(error.value)


@pytest.mark.parametrize("text", ["title: [", "- a list\n", "", "title: 'ä'\n".encode("latin-1")])
def test_a_file_that_is_no_card_is_named(tmp_path, text) -> None:
    file = tmp_path / "one.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError, match=r"one\.yaml"):
        load_cards(tmp_path)


def test_a_file_name_that_is_no_id_is_refused(tmp_path) -> None:
    write(tmp_path, "Not An Id")
    with pytest.raises(UserError, match="'id'"):
        load_cards(tmp_path)
