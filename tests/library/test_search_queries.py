"""Any text is a query."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from library_makers import ABSTRACTS, own_library, paper, passage, small_papers

from model_discovery.library import lexical
from model_discovery.library.lexical import telling_words
from model_discovery.library.library import PaperLibrary


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PaperLibrary]:
    with own_library(tmp_path_factory.mktemp("library")) as library:
        library.add_all(small_papers())
        yield library


@pytest.mark.parametrize(
    "query",
    [
        "",
        " \t\n",
        '"',
        "'; DROP TABLE papers; --",
        "attention AND",
        "NEAR(attention, 3) OR NOT *",
        "title: attention ^ - + ( )",
        "text:attention*",
        "α∇ ²  ﬁ",
        "注意機構",
        "\0attention\0",
        "\ud800 attention",
        "🙂" * 100,
        "x" * 10_000,
        "attention " * 1_000,
        " ".join(f"word{n}" for n in range(1_500)),
    ],
)
def test_a_strange_query_is_only_words(library: PaperLibrary, query: str) -> None:
    hits = library.search(query, k=8)
    assert len(hits) <= 8
    if "attention" in query:
        assert hits[0].paper.id == "attention"


@given(st.text(max_size=200))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_text_breaks_a_search(library: PaperLibrary, query: str) -> None:
    ids = [hit.paper.id for hit in library.search(query, k=8)]
    assert len(ids) == len(set(ids))
    assert set(ids) <= set(ABSTRACTS)


def test_accents_ligatures_and_case_do_not_matter(tmp_path: Path) -> None:
    with own_library(tmp_path) as library:
        library.add_all(small_papers())
        library.add(paper("übung"), [passage("Eﬃcient naïve BÄYES")])
        for query in ("efficient", "NAIVE", "bayes", "Übung"):
            assert library.search(query)[0].paper.id == "übung"


def test_of_a_long_query_the_rarest_words_are_looked_up(
    library: PaperLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, frequencies = library._current()
    monkeypatch.setattr(lexical, "MOST_WORDS", 2)
    assert telling_words(frequencies, "the a router sends of unknown") == ["router", "sends"]
    monkeypatch.setattr(lexical, "MOST_PLACES", 1)
    assert telling_words(frequencies, "the a router sends of") == ["router"]
    assert telling_words(frequencies, "the of") == []


def test_a_word_too_common_to_look_up_still_finds(
    library: PaperLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lexical, "MOST_PLACES", 0)
    assert library.search("router")[0].paper.id == "mixture"


@pytest.mark.parametrize("k", [0, -1])
def test_nothing_is_asked_for(library: PaperLibrary, k: int) -> None:
    assert library.search("attention", k=k) == []
    assert library.search("attention", sources=()) == []
