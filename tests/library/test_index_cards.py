"""Cards are taken up when a library is opened, and again when they change."""

from pathlib import Path

import pytest
from library_makers import own_library, paper, passage, small_papers

from model_discovery.library.library import PaperLibrary


def card(folder: Path, id_: str, idea: str) -> None:
    folder.mkdir(exist_ok=True)
    text = f"title: Card {id_}\nauthors: [Ada Example]\nyear: 2020\ntags: [test]\nidea: {idea}\n"
    (folder / f"{id_}.yaml").write_text(text, "utf-8")


@pytest.fixture
def cards(tmp_path: Path) -> Path:
    folder = tmp_path / "cards"
    card(folder, "gates", "A gate multiplies each channel.")
    card(folder, "memory", "A matrix is written with outer products.")
    return folder


def test_new_changed_and_dropped_cards(tmp_path: Path, cards: Path) -> None:
    with own_library(tmp_path / "library", cards) as library:
        assert [one.id for one in library.papers()] == ["gates", "memory"]
        assert library.search("outer products")[0].source == "cards"
    card(cards, "memory", "A state is rotated.")
    card(cards, "norm", "Lengths are made equal.")
    (cards / "gates.yaml").unlink()
    with own_library(tmp_path / "library", cards) as library:
        assert {one.id for one in library.papers()} == {"memory", "norm"}
        assert library.passages("memory")[0].text == "A state is rotated."
        assert (
            library.search("outer products of a matrix")[0].passage
            != "A matrix is written with outer products."
        )
        assert library.search("channel gate multiplies", k=1)[0].paper.id != "gates"


def test_cards_that_did_not_change_are_left_alone(tmp_path: Path, cards: Path) -> None:
    with own_library(tmp_path / "library", cards) as library:
        before = library._store.rows("SELECT id, paper FROM passages")
    with own_library(tmp_path / "library", cards) as library:
        assert library._store.rows("SELECT id, paper FROM passages") == before
    card(cards, "norm", "Lengths are made equal.")
    with own_library(tmp_path / "library", cards) as library:
        assert set(before) < set(library._store.rows("SELECT id, paper FROM passages"))


def test_sources_are_kept_apart(tmp_path: Path, cards: Path) -> None:
    with own_library(tmp_path / "library", cards) as library:
        library.add_all(small_papers())
        assert {hit.source for hit in library.search("a gate in each token", k=20)} == {"cards", "papers"}
        assert {hit.source for hit in library.search("a gate", k=20, sources=("cards",))} == {"cards"}
        assert {hit.source for hit in library.search("a gate", k=20, sources=("papers",))} == {"papers"}
        stats = library.stats()
        assert (stats.papers, stats.passages) == ({"cards": 2, "papers": 8}, {"cards": 2, "papers": 8})


def test_a_paper_of_ones_own_is_no_card_and_outlives_them(tmp_path: Path, cards: Path) -> None:
    with own_library(tmp_path / "library", cards) as library:
        mine = paper("mine").model_copy(update={"source": "cards"})
        library.add(mine, [passage("text")])
        found = library.paper("mine")
        assert found is not None and found.source == "papers"
    card(cards, "mine", "A card of the same name.")
    with own_library(tmp_path / "library", cards) as library:
        assert library.passages("mine") == [passage("text")]


def test_the_shipped_cards_are_found(tmp_path: Path) -> None:
    library = PaperLibrary.open(tmp_path)
    try:
        assert library.search("rotate queries and keys by position", k=3)[0].source == "cards"
    finally:
        library.close()
