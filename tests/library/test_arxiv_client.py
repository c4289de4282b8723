"""arXiv, asked on a server of this machine; and both services together."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from paper_services import ATOM, FEED, S2_ID, PaperServices, Said

from model_discovery.config import Settings
from model_discovery.errors import UserError
from model_discovery.library import services as module
from model_discovery.library.arxiv import Arxiv, read_feed
from model_discovery.library.identifiers import Identifier
from model_discovery.library.online import Online
from model_discovery.library.semantic_scholar import SemanticScholar
from model_discovery.library.services import Answers, Service, ServiceDown

MAMBA = Identifier("arxiv", "2312.00752")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[PaperServices]:
    monkeypatch.setattr(module, "_PAUSE", 0.01)
    with PaperServices.running() as running:
        yield running


@pytest.fixture
def client(server: PaperServices, tmp_path: Path) -> Arxiv:
    return Arxiv(Answers(tmp_path / "online.db"), server.url, interval=0)


@pytest.fixture
def online(server: PaperServices, client: Arxiv, tmp_path: Path) -> Online:
    answers = Answers(tmp_path / "online.db")
    return Online(SemanticScholar(answers, server.url, interval=0), client, answers)


def test_search_and_paper(client: Arxiv, server: PaperServices) -> None:
    [found] = client.search("The selective state spaces", 5)
    assert server.asked[0].query["search_query"] == "all:selective AND all:state AND all:spaces"
    assert server.asked[0].query["max_results"] == "5"
    assert found.paper.id == "arxiv:2312.00752" and found.paper.year == 2023
    assert found.paper.title == "Mamba: Linear-Time Sequence Modeling with Selective State Spaces"
    assert found.paper.authors == ("Albert Gu", "Tri Dao") and found.paper.venue == "COLM 2024"
    assert found.abstract == "Selective state spaces let the model forget along the sequence."
    assert found.pdf == f"{server.url}/pdf/2312.00752"
    assert client.paper(MAMBA) == found
    assert client.paper(Identifier("arxiv", "2401.00001")) is None


def test_a_long_query_need_not_match_whole(client: Arxiv, server: PaperServices) -> None:
    client.search('how "delta" rules: correct AND memories, of linear-attention (layers)', 3)
    asked = server.asked[0].query["search_query"]
    assert asked.split(" OR ")[:3] == ["all:how", "all:delta", "all:rules"] and "linear-attention" in asked
    assert not set('":,()') & set(asked.replace("all:", ""))


def test_a_query_without_words_asks_nobody(client: Arxiv, server: PaperServices) -> None:
    assert client.search("?!", 3) == [] and server.asked == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("", "no XML"),
        ("<html><body>rate exceeded</body></html>", "no Atom feed"),
        (FEED.format(entries="")[:-9], "no XML"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><feed>&a;</feed>', "no Atom feed"),
    ],
)
def test_what_is_no_feed_is_refused(body: str, words: str, client: Arxiv, server: PaperServices) -> None:
    server.faults = [Said(body, type=ATOM)]
    with pytest.raises(ServiceDown, match=f"arXiv sent an answer that cannot be read .{words}"):
        client.search("gates", 3)
    assert len(client.search("gates", 3)) == 1  # and it was not kept


def test_entries_that_tell_of_errors_are_no_papers() -> None:
    entry = "<entry><id>http://arxiv.org/api/errors#x</id><title>Error</title><summary>bad</summary></entry>"
    assert read_feed(FEED.format(entries=entry).encode()) == []


def test_requests_stand_apart_also_those_of_others(tmp_path: Path) -> None:
    def take(_: int) -> float:
        return Answers(tmp_path / "online.db").turn("arXiv", 100.0)

    with ThreadPoolExecutor(4) as threads:
        waits = sorted(threads.map(take, range(4)))
    for wait, due in zip(waits, (0, 100, 200, 300), strict=True):
        assert abs(wait - due) < 60
    assert Answers(tmp_path / "online.db").turn("Semantic Scholar", 100.0) == 0


def test_a_request_waits_for_its_turn(server: PaperServices, tmp_path: Path) -> None:
    service = Service("arXiv", Answers(tmp_path / "online.db"), interval=0.3)
    begun = time.monotonic()
    service.fetch(f"{server.url}/pdf/1")
    service.fetch(f"{server.url}/pdf/2")
    assert time.monotonic() - begun >= 0.3


def test_both_services_together_without_twins(online: Online, server: PaperServices) -> None:
    hits = online.search(["selective", "state spaces"], 5)
    assert [hit.paper.id for hit in hits] == ["arxiv:2312.00752", "doi:10.1000/gates"]
    assert [hit.score for hit in hits] == [1.0, 0.5] and online.notes == []
    assert len(online.search("selective", 1)) == 1


def test_one_service_that_is_down_is_a_note(online: Online, server: PaperServices) -> None:
    server.faults = [Said("", 500)] * 3
    hits = online.search("gates", 5)
    assert [hit.source for hit in hits] == ["arxiv"]
    assert online.notes == ["Semantic Scholar is not reachable (status 500); searched without it"]
    online.search("decay", 5)
    assert len(online.notes) == 1


def test_without_network_searching_is_quick_and_never_raises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    settings = Settings(
        library_dir=tmp_path, s2_api_url="http://127.0.0.1:9", arxiv_api_url="http://nowhere.invalid"
    )
    online = Online.from_settings(settings)
    assert online.search("gates", 5) == []
    assert sum(slept) < 0.1
    assert [note.split(" (")[0] for note in online.notes] == [
        "Semantic Scholar is not reachable", "arXiv is not reachable"
    ]  # fmt: skip
    with pytest.raises(UserError, match=r"arXiv 2312.00752 could not be looked up: arXiv is not reachable"):
        online.paper(MAMBA)


def test_a_paper_that_arxiv_cannot_give_comes_from_the_other(online: Online, server: PaperServices) -> None:
    server.faults = [Said("", 500)] * 3
    assert online.paper(MAMBA).paper.source == "semantic-scholar"
    assert online.paper(Identifier("s2", S2_ID)).paper.id == "arxiv:2312.00752"
    with pytest.raises(UserError, match=r"DOI 10.9999/x is not known to Semantic Scholar"):
        online.paper(Identifier("doi", "10.9999/x"))


def test_a_file_that_is_no_store_says_what_to_do(server: PaperServices, tmp_path: Path) -> None:
    (tmp_path / "online.db").write_bytes(b"no database " * 1000)
    with pytest.raises(UserError, match=r"online.db cannot be used"):
        Arxiv(Answers(tmp_path / "online.db"), server.url, interval=0).search("gates", 3)
