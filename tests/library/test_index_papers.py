"""Papers come in, are found, and go out again."""

from pathlib import Path

import pytest
from library_makers import ABSTRACTS, own_library, paper, passage, small_papers

from model_discovery.errors import UserError


def test_a_paper_is_found_by_its_words_and_comes_back_whole(tmp_path: Path) -> None:
    with own_library(tmp_path) as library:
        assert library.add_all(small_papers()) == len(ABSTRACTS)
        hits = library.search("constant memory for decoding with a decaying state", k=3)
        assert hits[0].paper == paper("retention")
        assert hits[0].passage == ABSTRACTS["retention"]
        assert (hits[0].section, hits[0].page, hits[0].source) == ("Abstract", 1, "papers")
        assert len(hits) == 3
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_what_was_added_is_there_for_the_next_who_opens(tmp_path: Path) -> None:
    with own_library(tmp_path) as library:
        library.add_all(small_papers())
        before = library.search("rotated by position", k=8)
    with own_library(tmp_path) as again:
        assert again.papers() == [one for one, _ in small_papers()]
        assert again.passages("rotary") == [passage(ABSTRACTS["rotary"])]
        assert again.search("rotated by position", k=8) == before


def test_a_paper_is_added_once(tmp_path: Path) -> None:
    with own_library(tmp_path) as library:
        assert library.add(paper("a"), [passage("one text")])
        assert not library.add(paper("a"), [passage("another text")])
        assert library.passages("a") == [passage("one text")]
        assert library.add_all([(paper("b"), [passage("x")]), (paper("b"), [passage("y")])]) == 1


def test_a_removed_paper_is_not_found(tmp_path: Path) -> None:
    with own_library(tmp_path) as library:
        library.add_all(small_papers())
        assert library.remove("retention")
        assert not library.remove("retention")
        assert library.paper("retention") is None
        assert library.passages("retention") == []
        found = library.search("constant memory for decoding with a decaying state", k=8)
        assert "retention" not in [hit.paper.id for hit in found]
        assert library.add(paper("retention"), [passage(ABSTRACTS["retention"])])
        assert library.search("decaying state")[0].paper.id == "retention"


def test_a_paper_takes_the_place_of_another_or_leaves_it(tmp_path: Path) -> None:
    with own_library(tmp_path) as library:
        library.add_all(small_papers())
        assert library.replace("rotary", paper("full"), [passage("the whole text on angles")])
        assert library.paper("rotary") is None and library.search("angles")[0].paper.id == "full"
        assert library.replace("full", paper("full"), [passage("and more of it")])
        assert library.passages("full") == [passage("and more of it")]
        assert not library.replace("rotary", paper("other"), [passage("text")])
        assert not library.replace("full", paper("norm"), [passage("text")])
        [(pages,)] = library._store.rows("PRAGMA page_count")
        library._store.rows(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(UserError, match="full"):
            library.replace("full", paper("large"), [passage(f"word{n} " * 500) for n in range(50)])
        assert library.paper("full") is not None and library.paper("large") is None


def test_different_papers_come_first_then_further_passages(tmp_path: Path) -> None:
    with own_library(tmp_path) as library:
        library.add(paper("long"), [passage(f"gated linear attention, part {i}") for i in range(5)])
        library.add(paper("short"), [passage("a word on attention and on much else that is different")])
        ids = [hit.paper.id for hit in library.search("gated linear attention", k=3)]
        assert sorted(ids) == ["long", "long", "short"]


def test_an_unknown_source_is_named(tmp_path: Path) -> None:
    with own_library(tmp_path) as library, pytest.raises(UserError, match="'arxiv'"):
        library.search("x", sources=("arxiv",))


def test_nothing_is_found_in_an_empty_library(tmp_path: Path) -> None:
    with own_library(tmp_path) as library:
        assert library.search("attention") == []
        assert library.papers() == []
        assert library.stats().papers == {}
