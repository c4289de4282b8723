"""``library`` as people type it: what is said, what is there afterwards, exit codes."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from library_makers import read_only
from paper_services import PaperServices, Said
from pdf_makers import one_column_paper, scanned_paper, two_column_paper

from model_discovery.cli import main
from model_discovery.library import PaperLibrary, ReadPaper, adding, services


@dataclass
class Done:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture(scope="module")
def with_cards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cards") / "library"
    PaperLibrary.open(folder).close()
    return folder


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[PaperServices]:
    monkeypatch.setattr(services, "_PAUSE", 0.01)
    monkeypatch.setattr(services.Answers, "turn", lambda *_: 0.0)  # arXiv asks for three seconds
    with PaperServices.running() as running:
        monkeypatch.setenv("S2_API_URL", running.url)
        monkeypatch.setenv("ARXIV_API_URL", running.url)
        yield running


@pytest.fixture
def run(
    tmp_path: Path, with_cards: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("S2_API_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("ARXIV_API_URL", "http://127.0.0.1:9")
    monkeypatch.delenv("S2_API_KEY", raising=False)
    shutil.copytree(with_cards, tmp_path / "paper_library")

    def call(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["model-discovery", "library", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return Done(int(ended.value.code or 0), said.out, said.err)

    return call


def test_a_folder_is_added_and_what_cannot_be_read_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "papers" / "deep").mkdir(parents=True)
    two_column_paper(tmp_path / "papers" / "two.pdf")
    one_column_paper(tmp_path / "papers" / "deep" / "ONE.PDF")
    scanned_paper(tmp_path / "papers" / "scan.pdf")
    (tmp_path / "papers" / "empty.pdf").write_bytes(b"")
    (tmp_path / "papers" / "refs.bib").write_text(
        "@misc{a, title={A Title}, abstract={On gates.}}\n@misc{b,}"
    )
    done = run("add", "papers")
    assert done.code == 0 and done.err == ""
    lines = done.out.splitlines()
    assert lines[0].startswith("added: Sparse Mixtures Without Routers [sha256:")
    assert lines[1] == "not added: papers/empty.pdf is empty."
    assert lines[2] == f"added: A Title [{lines[2].split('[')[1].split(',')[0]}, 1 passage]"
    assert lines[3] == "not added: papers/refs.bib: b: it has no title"
    assert "it seems to be scanned" in lines[4] and "ocrmypdf" in lines[4]
    assert lines[5].startswith("added: Gated Linear Layers") and lines[6] == "3 added, 3 not added"
    again = run("add", "papers")
    assert again.code == 0 and again.out.splitlines()[-1] == "3 already there, 3 not added"


def test_a_folder_called_like_a_paper_is_looked_into(run: Run, tmp_path: Path) -> None:
    (tmp_path / "papers" / "old.pdf").mkdir(parents=True)
    one_column_paper(tmp_path / "papers" / "old.pdf" / "one.pdf")
    done = run("add", "papers")
    assert done.code == 0 and done.out.startswith("added: ") and done.out.count("\n") == 1


def test_the_same_text_in_another_file_is_not_added_again(run: Run, tmp_path: Path) -> None:
    one_column_paper(tmp_path / "a.pdf")
    run("add", "a.pdf")
    (tmp_path / "b.pdf").write_bytes((tmp_path / "a.pdf").read_bytes() + b"\n% one more line\n")
    done = run("add", "b.pdf")
    assert done.code == 0 and "already there" in done.out and "same text is in another file" in done.out


def test_stopped_between_two_papers(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one_column_paper(tmp_path / "a.pdf")
    two_column_paper(tmp_path / "b.pdf")
    read = adding.read_pdf

    def stopped_at_the_second(path: Path) -> ReadPaper:
        if path.name == "b.pdf":
            raise KeyboardInterrupt
        return read(path)

    monkeypatch.setattr(adding, "read_pdf", stopped_at_the_second)
    done = run("add", "a.pdf", "b.pdf")
    assert done.code == 130 and done.out.startswith("added: ") and done.out.count("\n") == 1
    assert done.err == "stopped; what was added stays, and the same command goes on with the rest\n"
    assert json.loads(run("stats", "--json").out)["papers"]["papers"] == 1


def test_a_folder_that_is_read_only(run: Run, tmp_path: Path) -> None:
    run("search", "gates")
    with read_only(tmp_path / "paper_library"):
        done = run("add", "2312.00752")
        assert done.code == 1 and done.out == ""
        assert done.err.splitlines() == [
            "error: The library in paper_library is read-only: paper_library cannot be written to.",
            "  it can be searched; to change it, copy the folder and name the copy in LIBRARY_DIR",
        ]
        for arguments in (["search", "gates"], ["show", "mamba"], ["stats"], ["export", "all.jsonl"]):
            done = run(*arguments)
            assert (done.code, done.err) == (0, "") and done.out


def test_nothing_that_could_be_added_is_a_failure(run: Run, tmp_path: Path) -> None:
    (tmp_path / "page.pdf").write_text("<html>")
    done = run("add", "page.pdf")
    assert (done.code, done.out) == (1, "not added: page.pdf is no PDF.\n")
    assert json.loads(run("add", "page.pdf", "--json").out)[0]["why"] == "page.pdf is no PDF."


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["add", "folder"], ["The folder folder holds no PDF"]),
        (["add", "missing.pdf"], ["There is no file missing.pdf", "2312.00752"]),
        (["search", "  "], ["The query is empty"]),
        (["search", "gates", "--source", "card"], ["Unknown source 'card'", "Did you mean 'cards'"]),
        (["show", "mamb"], ["Unknown paper 'mamb'", "Did you mean 'mamba"]),
        (["export", "out.txt"], ["out.txt is neither .jsonl nor .bib"]),
    ],
)
def test_bad_input_gets_one_line(arguments: list[str], words: list[str], run: Run, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    done = run(*arguments)
    assert done.code == 2 and done.out == ""
    assert len(done.err.splitlines()) <= 2
    for word in words:
        assert word in done.err


def test_an_index_of_another_embedder_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIBRARY_EMBEDDER", "sentence-transformers:all-MiniLM-L6-v2")
    done = run("search", "gates")
    assert done.code != 0 and len(done.err.splitlines()) <= 2
    assert "paper_library" in done.err and "lexical-svd" in done.err


def test_an_id_is_looked_up_and_its_pdf_takes_the_place_of_the_abstract(
    run: Run, server: PaperServices, tmp_path: Path
) -> None:
    done = run("add", "https://arxiv.org/abs/2312.00752")
    assert done.code == 0
    assert done.out.startswith(
        "added: Mamba: Linear-Time Sequence Modeling with Selective State Spaces [arxiv:"
    )
    assert "card mamba tells of it too" in done.out
    assert "already there" in run("add", "2312.00752").out
    server.pdf = two_column_paper(tmp_path / "x.pdf").read_bytes()
    done = run("add", "2312.00752", "--pdf", "--json")
    [added] = json.loads(done.out)
    assert added["status"] == "added" and added["paper"] == "arxiv:2312.00752" and added["passages"] == 8
    assert "takes the place of what was there of it" in added["notes"]
    shown = json.loads(run("show", "arxiv:2312.00752", "--json").out)
    assert shown["passages"][1]["section"] == "1 Introduction" and shown["passages"][1]["page"] == 1
    assert shown["paper"]["authors"] == ["Albert Gu", "Tri Dao"]


@pytest.mark.parametrize("meanwhile_gone", [False, True])
def test_a_file_takes_the_place_of_an_abstract_that_was_there(
    run: Run, server: PaperServices, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, meanwhile_gone: bool
) -> None:
    import pymupdf

    replace = PaperLibrary.replace

    def after_another_process(self: PaperLibrary, id: str, *new: Any) -> bool:
        if meanwhile_gone:
            self.remove(id)
        return replace(self, id, *new)

    monkeypatch.setattr(PaperLibrary, "replace", after_another_process)
    run("add", "2312.00752")
    document = pymupdf.open(one_column_paper(tmp_path / "one.pdf"))
    document[0].insert_text((30, 500), "arXiv:2312.00752v2 [cs.LG] 31 May 2024", fontsize=20, rotate=90)
    document.save(tmp_path / "mamba.pdf")
    done = run("add", "mamba.pdf")
    assert "takes the place of arxiv:2312.00752" in done.out
    stats = json.loads(run("stats", "--json").out)
    assert stats["papers"]["papers"] == 1
    assert "already there" in run("add", "2312.00752").out


def test_a_pdf_that_cannot_be_had_leaves_the_abstract(run: Run, server: PaperServices) -> None:
    server.pdf = b"<html>come back later</html>"
    done = run("add", "2312.00752", "--pdf")
    assert done.code == 0 and "1 passage" in done.out and "/pdf/2312.00752 is no PDF." in done.out


def test_ids_that_nobody_knows_or_can_be_asked_for(run: Run, server: PaperServices) -> None:
    done = run("add", "10.1234/nothing")
    assert (done.code, done.out) == (1, "not added: DOI 10.1234/nothing is not known to Semantic Scholar.\n")
    server.faults = [Said("", 500)] * 6
    done = run("add", "2405.21060")
    assert done.code == 1 and "arXiv 2405.21060 could not be looked up: arXiv is not reachable" in done.out


def test_abstracts_that_bibtex_lacks_are_looked_up_together(
    run: Run, server: PaperServices, tmp_path: Path
) -> None:
    (tmp_path / "refs.bib").write_text(
        "@article{a, title={Gates}, doi={10.1000/gates}}\n@article{b, title={Lone}, doi={10.1000/lone}}"
    )
    done = run("add", "refs.bib")
    assert done.out.count("only its title is searched") == 2 and server.asked == []
    done = run("add", "refs.bib", "--online")
    assert len(server.asked) == 1
    assert "added: Gates [doi:10.1000/gates, 1 passage] (takes the place" in done.out
    assert "already there: Lone" in done.out


def test_search_in_the_library(run: Run) -> None:
    hits = json.loads(run("search", "selective state space", "-k", "3", "--json").out)["hits"]
    assert len(hits) == 3 and "mamba" in [hit["paper"]["id"] for hit in hits]
    assert {hit["source"] for hit in hits} == {"cards"}
    done = run("search", "selective state space", "-k", "3")
    assert "Mamba" in done.out and "  mamba · Albert Gu" in done.out
    assert "to read one: " in done.out and "library show ID" in done.out
    assert len(done.out.splitlines()) == 3 * 3 + 1
    assert run("search", "selective state", "--source", "papers").out == "nothing found\n"


def test_what_is_told_of_a_library_and_of_a_card(run: Run, tmp_path: Path) -> None:
    told = run("stats").out
    assert " MB\n" in told and "None" not in told and "dollars" not in told
    shown = run("show", "mamba").out
    assert "  first version: 2023\n  venue: COLM\n" in shown  # there was no COLM in 2023
    missed = run("show", "2401.99999")
    assert missed.code == 2 and len(missed.err) < 200
    run("export", "all.bib")
    entry = (tmp_path / "all.bib").read_text().split("@misc{gu2023mamba,")[1].split("}\n\n")[0]
    assert "{First version; then COLM}" in entry and "journal" not in entry


def test_search_online_leaves_out_what_the_library_has(run: Run, server: PaperServices) -> None:
    facts = json.loads(run("search", "decay", "--online", "-k", "2", "--json").out)
    assert [hit["paper"]["id"] for hit in facts["hits"]][2:] == ["doi:10.1000/gates"]  # mamba is a card
    done = run("search", "decay", "--online", "-k", "2")
    assert "  doi:10.1000/gates · " in done.out and "library add ID" in done.out
    assert "added: Gates & Decay" in run("add", "doi:10.1000/gates").out


def test_search_online_without_network_searches_the_library(run: Run) -> None:
    done = run("search", "gated linear attention", "--online", "-k", "1")
    lines = done.out.splitlines()
    assert done.code == 0 and lines[0]
    assert lines[-2].startswith("Semantic Scholar is not reachable (")
    assert lines[-1].startswith("arXiv is not reachable (") and lines[-1].endswith("; searched without it")


def test_show_a_card_by_its_names(run: Run) -> None:
    done = run("show", "mamba")
    assert "https://arxiv.org/abs/2312.00752" in done.out and "implemented by:" in done.out
    assert "builds on:" in done.out and "built upon by:" in done.out
    assert run("show", "arXiv:2312.00752").out == done.out


def test_export_and_stats(run: Run, tmp_path: Path) -> None:
    one_column_paper(tmp_path / "one.pdf")
    run("add", "one.pdf")
    assert run("export", "own.jsonl", "--source", "papers").out == "1 papers in own.jsonl\n"
    [line] = (tmp_path / "own.jsonl").read_text("utf-8").splitlines()
    record = json.loads(line)
    assert record["paper"]["title"] == "Sparse Mixtures Without Routers" and len(record["passages"]) == 4
    count = int(run("export", "all.bib").out.split()[0])
    assert count > 100 and (tmp_path / "all.bib").read_text("utf-8").count("\n@") >= count - 1
    done = run("stats")
    assert f"{count - 1} cards, 1 papers" in done.out and "lexical-svd" in done.out
    assert json.loads(run("stats", "--json").out)["passages"]["papers"] == 4
    assert run("export", str(tmp_path / "no" / "all.bib")).code == 1
