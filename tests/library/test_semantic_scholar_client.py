"""Semantic Scholar, asked on a server of this machine that speaks its format and misbehaves."""

import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from paper_services import ATOM, S2_ID, PaperServices, Said

from model_discovery.library import services as module
from model_discovery.library.identifiers import recognise
from model_discovery.library.semantic_scholar import SemanticScholar
from model_discovery.library.services import Answers, ServiceDown


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[PaperServices]:
    monkeypatch.setattr(module, "_PAUSE", 0.01)
    with PaperServices.running() as running:
        yield running


@pytest.fixture
def client(server: PaperServices, tmp_path: Path) -> SemanticScholar:
    return SemanticScholar(Answers(tmp_path / "online.db"), server.url, key="planted-key", interval=0)


def _paper(client: SemanticScholar, name: str) -> str:
    identifier = recognise(name)
    assert identifier is not None
    found = client.paper(identifier)
    return found.paper.title if found else "none"


def test_search_gives_papers_in_order(client: SemanticScholar, server: PaperServices) -> None:
    first, second = client.search("state space & gates? 100%=x", 5)
    assert first.paper.title == "Mamba: Linear-Time Sequence Modeling with Selective State Spaces"
    assert first.paper.id == "arxiv:2312.00752" and first.paper.s2 == S2_ID
    assert first.paper.authors == ("Albert Gu", "Tri Dao") and first.paper.year == 2023
    assert first.abstract.startswith("Selective state spaces")
    assert (second.paper.id, second.paper.doi, second.paper.arxiv) == (
        "doi:10.1000/gates",
        "10.1000/gates",
        "",
    )
    asked = server.asked[0]
    assert asked.query["query"] == "state space & gates? 100%=x" and asked.query["limit"] == "5"
    assert asked.headers["x-api-key"] == "planted-key"
    assert "abstract" in asked.query["fields"] and "year" not in asked.query


@pytest.mark.parametrize("name", [S2_ID, "2312.00752", "CorpusId:265551773"])
def test_a_paper_by_each_of_its_names(name: str, client: SemanticScholar) -> None:
    assert _paper(client, name).startswith("Mamba")


def test_a_paper_that_is_not_there_is_none(client: SemanticScholar, server: PaperServices) -> None:
    assert _paper(client, "10.5555/nothing") == "none"
    assert len(server.asked) == 1


def test_many_papers_with_one_request(client: SemanticScholar, server: PaperServices) -> None:
    names = [recognise("10.1000/gates"), recognise("10.1000/unknown")]
    found = client.papers([name for name in names if name])
    assert [one.paper.title for one in found.values()] == ["Gates & Decay"]
    assert len(server.asked) == 1 and server.asked[0].body == {
        "ids": ["DOI:10.1000/gates", "DOI:10.1000/unknown"]
    }


def test_what_was_asked_once_is_not_asked_again(
    client: SemanticScholar, server: PaperServices, tmp_path: Path
) -> None:
    client.search("gates", 3)
    again = SemanticScholar(Answers(tmp_path / "online.db"), server.url, interval=0)
    assert len(again.search("gates", 3)) == 2
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "fault",
    [
        Said('{"message": "busy"}', 429),
        Said("<html>", 500, "text/html"),
        Said("", 503),
        Said('{"message": "late"}', 504),
    ],
)
def test_a_fault_that_passes_is_asked_again(
    fault: Said, client: SemanticScholar, server: PaperServices
) -> None:
    server.faults = [fault]
    assert len(client.search("gates", 3)) == 2
    assert len(server.asked) == 2


def test_the_service_says_how_long_to_wait(client: SemanticScholar, server: PaperServices) -> None:
    server.faults = [Said("{}", 429, headers={"Retry-After": "1"})]
    begun = time.monotonic()
    client.search("gates", 3)
    assert time.monotonic() - begun >= 1


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Said("{}", 429), "not reachable (too many requests)"),
        (Said("<html>", 502, "text/html"), "not reachable (status 502)"),
        (Said("<html>maintenance</html>", 200, "text/html"), "cannot be read (no JSON)"),
        (Said("[1, 2]"), "cannot be read (no JSON object)"),
        (Said('{"data": [7], "total": 1}'), "cannot be read (TypeError"),
        (Said('{"message": "Forbidden"}', 403), "refused the request: status 403"),
        (Said('{"data": [', headers={"content-length": "100"}), "not reachable"),
    ],
)
def test_a_fault_that_stays_says_which_service_and_why(
    fault: Said, words: str, client: SemanticScholar, server: PaperServices
) -> None:
    server.faults = [fault] * 3
    with pytest.raises(ServiceDown) as raised:
        client.search("gates", 3)
    assert raised.value.message.startswith("Semantic Scholar ") and words in raised.value.message
    assert "planted-key" not in str(raised.value)


def test_a_service_that_is_down_is_left_alone_and_then_asked_again(
    client: SemanticScholar, server: PaperServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.faults = [Said("", 500)] * 3
    for _ in range(2):
        with pytest.raises(ServiceDown, match="status 500"):
            client.search("gates", 3)
    assert len(server.asked) == 3
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + module.DOWN + 1)
    assert len(client.search("gates", 3)) == 2


def test_an_old_answer_is_better_than_none(
    client: SemanticScholar, server: PaperServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.search("gates", 3)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + module.FRESH + 1)
    server.faults = [Said("", 500)] * 3
    assert len(client.search("gates", 3)) == 2
    assert len(server.asked) == 4


def test_records_that_lack_things_are_papers_still(client: SemanticScholar, server: PaperServices) -> None:
    bare = f'{{"paperId": "{S2_ID}", "title": "T", "abstract": null, "authors": null, "externalIds": null}}'
    server.faults = [Said(f'{{"total": 3, "data": [{bare}, {{"paperId": null}}, null]}}')]
    [found] = client.search("gates", 3)
    assert found.paper.id == f"s2:{S2_ID}" and found.abstract == "" and found.paper.year is None
    assert found.hit(1).passage == "T" and found.hit(1).section == "Title"


def test_a_slow_service_is_given_up(server: PaperServices, tmp_path: Path) -> None:
    def late() -> Said:
        time.sleep(0.6)
        return Said("{}", type=ATOM)

    client = SemanticScholar(Answers(tmp_path / "online.db"), server.url, interval=0)
    client.service._timeout = 0.1
    server.faults = [late, late, late]
    with pytest.raises(ServiceDown, match="no answer in"):
        client.search("gates", 3)


def test_loggers_are_left_as_they_are_and_see_no_key(
    client: SemanticScholar, caplog: pytest.LogCaptureFixture
) -> None:
    root = logging.getLogger()
    before = list(root.handlers), root.level
    with caplog.at_level(logging.DEBUG):
        client.search("gates", 3)
    assert (list(root.handlers), root.level) == before
    assert "planted-key" not in caplog.text


def test_a_key_is_not_sent_where_a_redirect_points(client: SemanticScholar, server: PaperServices) -> None:
    server.faults = [Said("", 302, headers={"Location": f"{server.url}/graph/v1/elsewhere"})]
    with pytest.raises(ServiceDown, match="status 302"):
        client.search("gates", 3)
    assert len(server.asked) == 1
