"""Papers as PDF files: what is read of them, and files that give nothing."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pymupdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pdf_makers import (
    conference_style,
    journal_style,
    long_paper,
    one_column_paper,
    scanned_paper,
    two_column_paper,
    workshop_style,
)

from model_discovery.library import pdf
from model_discovery.library.chunking import MOST_WORDS, passages_of, split_sentences
from model_discovery.library.layout import read_page
from model_discovery.library.pdf import ReadPaper, UnreadableFile, read_pdf
from model_discovery.library.sections import Paragraph, Section, join_lines


@pytest.fixture(scope="module")
def two_columns(tmp_path_factory: pytest.TempPathFactory) -> ReadPaper:
    return read_pdf(two_column_paper(tmp_path_factory.mktemp("two") / "paper.pdf"))


def _text(read: ReadPaper, section: str) -> str:
    return " ".join(passage.text for passage in read.passages if passage.section == section)


def test_title_and_authors_of_two_columns(two_columns: ReadPaper) -> None:
    assert two_columns.paper.title == "Gated Linear Layers: Decay Where It Helps and Nowhere Else"
    assert two_columns.paper.authors == ("Ada Example", "José van der Berg", "Mei-Ling O'Neil")
    assert two_columns.notes == []


def test_sections_stand_in_order_and_captions_after_them(two_columns: ReadPaper) -> None:
    sections = list(dict.fromkeys(passage.section for passage in two_columns.passages))
    assert sections == ["Abstract", "1 Introduction", "2.1 The Gate", "3 Results", "A Proof of the Bound",
                        "Table 1", "Figure 1", "Footnotes"]  # fmt: skip
    pages = [passage.page for passage in two_columns.passages]
    assert pages == [1, 1, 2, 2, 3, 2, 2, 1]


def test_the_abstract_ends_where_the_introduction_begins(two_columns: ReadPaper) -> None:
    abstract = _text(two_columns, "Abstract")
    assert abstract.startswith("We study gates that decay the state of linear attention.")
    assert abstract.endswith("recall of rare words.") and "Recurrent layers" not in abstract


def test_columns_are_read_one_after_the_other(two_columns: ReadPaper) -> None:
    introduction = _text(two_columns, "1 Introduction")
    assert introduction.startswith("Recurrent layers keep a state of constant size, and their cost grows")
    assert "the state is kept. The state of the layer decays" in introduction
    assert "example.org" not in introduction
    method = _text(two_columns, "2.1 The Gate")
    assert "its last sentence is cut by the end of the column, which is no end of a sentence." in method


def test_broken_words_are_whole_and_compounds_keep_their_hyphens(two_columns: ReadPaper) -> None:
    introduction = _text(two_columns, "1 Introduction")
    assert "The efficient kernels" in introduction
    assert "state-of-the-art" in introduction and "data-dependent" in introduction


def test_equations_stay_as_text_and_the_words_of_figures_and_tables_do_not(two_columns: ReadPaper) -> None:
    method = _text(two_columns, "2.1 The Gate")
    assert "The state is updated as S = a S + k v The state" in method
    everything = " ".join(passage.text for passage in two_columns.passages)
    assert "3.21" not in everything and "Gate The" not in everything
    assert _text(two_columns, "Figure 1").endswith("before the state and after the short convolution.")
    assert _text(two_columns, "Table 1").startswith("Table 1: Losses of both layers")
    assert _text(two_columns, "Footnotes") == "Code stands at https://example.org/gates."


def test_heads_page_numbers_and_references_are_cut_and_the_appendix_is_kept(two_columns: ReadPaper) -> None:
    everything = " ".join(passage.text for passage in two_columns.passages)
    assert "Gated Layers for Long Contexts" not in everything
    assert "Journal of References" not in everything and "White, B." not in everything
    assert _text(two_columns, "A Proof of the Bound").startswith("The proof goes by induction")


def test_one_column_with_headings_that_have_no_numbers(tmp_path: Path) -> None:
    read = read_pdf(one_column_paper(tmp_path / "one.pdf"))
    assert read.paper.title == "Sparse Mixtures Without Routers"
    assert read.paper.authors == ("Kim Lee", "Lars Ångström")
    sections = [passage.section for passage in read.passages]
    assert sections == ["Abstract", "Introduction", "How Experts Are Chosen", "Conclusion"]
    assert read.passages[0].text.startswith("We remove the router. The state of the layer")


@pytest.mark.parametrize(
    ("make", "title", "authors", "sections"),
    [
        (journal_style, "Recurrent Memory for Long Documents", ("Ada B. Example", "Bo Chen"),
         ["Abstract", "I. INTRODUCTION", "II. METHOD"]),
        (conference_style, "Selective Gates Are All You Need", ("Albert Example", "Tri Sample"),
         ["Abstract", "1. Introduction", "2.1. Gates"]),
        (workshop_style, "Deep Layers Without Norms", ("Ada Example", "Bo Chen", "Chloé Dupont"),
         ["Abstract", "1 Introduction", "2 Related Work", "3 Method",
          "Acknowledgments and Disclosure of Funding", "A Additional Experiments"]),
    ],
)  # fmt: skip
def test_styles_of_other_places(
    make: Callable[[Path], Path], title: str, authors: tuple[str, ...], sections: list[str], tmp_path: Path
) -> None:
    read = read_pdf(make(tmp_path / "paper.pdf"))
    assert (read.paper.title, read.paper.authors) == (title, authors)
    assert [passage.section for passage in read.passages] == sections
    everything = " ".join(passage.text for passage in read.passages)
    for word in ("Nobody finds", "Proceedings", "Equal contribution", "Google", "Conference on"):
        assert word not in everything
    assert everything.startswith("We ")


def test_letters_that_cannot_be_kept_are_left_out() -> None:
    spans = [["Gates\ud835 of\x00 e\ufb03cient lay\x07ers", 10.0, 0, "Times"], ["2", 6.0, 1, "Times"]]
    line = {"block": 0, "box": [0, 0, 9, 9], "level": True, "spans": spans}
    page = read_page({"page": 1, "width": 600.0, "height": 800.0, "lines": [line]})
    assert page.lines[0].text == "Gates of efficient layers"


def test_a_real_paper(shared_data: Path) -> None:
    read = read_pdf(shared_data / "papers" / "warstadt2020_blimp.pdf")
    assert read.paper.title == "BLiMP: The Benchmark of Linguistic Minimal Pairs for English"
    assert read.paper.authors == ("Alex Warstadt", "Alicia Parrish", "Haokun Liu", "Anhad Mohananey",
                                  "Wei Peng", "Sheng-Fu Wang", "Samuel R. Bowman")  # fmt: skip
    sections = list(dict.fromkeys(passage.section for passage in read.passages))
    assert sections[:8] == ["Abstract", "1 Introduction", "2.1 Language Models",
                            "2.2 Linguistic Knowledge of NNs", "3 Data", "3.1 Data generation procedure",
                            "3.2 Coverage", "3.3 Comparison to Related Resources"]  # fmt: skip
    assert {"5.3 Correlation of Model & Human Performance", "Appendix", "Figure 6", "Table 4"} <= {*sections}
    assert not any("References" in section for section in sections)
    abstract = read.passages[0].text
    assert abstract.startswith("We introduce The Benchmark of Linguistic Minimal Pairs (BLiMP), a challenge")
    assert abstract.endswith("such as negative polarity items and extraction islands.")
    everything = " ".join(passage.text for passage in read.passages)
    assert "grammatical" in everything and "grammat-" not in everything and "ﬁ" not in everything
    assert "Computational Linguistics, pages" not in everything
    assert all(passage.page and 1 <= passage.page <= 15 for passage in read.passages)
    assert max(len(passage.text.split()) for passage in read.passages) <= MOST_WORDS


def test_an_arxiv_stamp_gives_id_and_year(tmp_path: Path) -> None:
    document = pymupdf.open(one_column_paper(tmp_path / "one.pdf"))
    document[0].insert_text((30, 500), "arXiv:2312.00752v2 [cs.LG] 31 May 2024", fontsize=20, rotate=90)
    document.save(tmp_path / "stamped.pdf")
    read = read_pdf(tmp_path / "stamped.pdf")
    assert (read.paper.arxiv, read.paper.year) == ("2312.00752", 2023)
    assert read.paper.title == "Sparse Mixtures Without Routers"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"<html>no paper</html>", "is no PDF"),
        (b"%PDF-1.7\nnothing that a PDF has", "paper.pdf"),
        (os.urandom(16) + b"%PDF-1.4" + bytes(5000), "paper.pdf"),
    ],
)
def test_files_that_are_no_papers_say_why(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "paper.pdf").write_bytes(content)
    with pytest.raises(UnreadableFile, match=words):
        read_pdf(tmp_path / "paper.pdf")


def test_a_folder_or_a_missing_file_is_no_paper(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing.pdf"):
        with pytest.raises(UnreadableFile, match="cannot be read"):
            read_pdf(path)


def test_a_scanned_paper_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="3 pages: it seems to be scanned") as raised:
        read_pdf(scanned_paper(tmp_path / "scan.pdf"))
    assert "ocrmypdf" in raised.value.hint


def test_a_password_is_asked_for_only_where_the_reader_needs_one(tmp_path: Path) -> None:
    method = pymupdf.PDF_ENCRYPT_AES_256
    owned = two_column_paper(tmp_path / "owned.pdf", encryption=method, owner_pw="owner", user_pw="")
    read = read_pdf(owned)
    assert read.paper.title.startswith("Gated Linear Layers") and "protected" in read.notes[0]
    closed = two_column_paper(tmp_path / "closed.pdf", encryption=method, owner_pw="owner", user_pw="user")
    with pytest.raises(UnreadableFile, match="needs a password"):
        read_pdf(closed)


def test_a_truncated_file_gives_what_is_left_with_a_note(tmp_path: Path) -> None:
    whole = long_paper(tmp_path / "whole.pdf", 40).read_bytes()
    cut = tmp_path / "cut.pdf"
    cut.write_bytes(whole[: len(whole) // 2])
    try:
        read = read_pdf(cut)
    except UnreadableFile as error:
        assert "damaged" in error.message
    else:
        assert any("damaged" in note for note in read.notes)
    cut.write_bytes(whole[:-200])  # without the table of contents of the file
    read = read_pdf(cut)
    assert "damaged" in read.notes[0] and read.passages


def test_a_thousand_pages_are_read_as_far_as_they_may_be(tmp_path: Path) -> None:
    path = long_paper(tmp_path / "long.pdf", 1000)
    begun = time.monotonic()
    read = read_pdf(path, most_pages=200)
    assert time.monotonic() - begun < 60
    assert read.notes == ["200 of 1,000 pages were read (no more than 200 are)", "no abstract was found"]
    assert {passage.section for passage in read.passages} == {"Text"}
    assert max(passage.page or 0 for passage in read.passages) > 150
    assert max(len(passage.text.split()) for passage in read.passages) <= MOST_WORDS


def test_reading_stops_in_time_and_keeps_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = tmp_path / "slow.py"
    slow.write_text(
        Path(pdf.__file__).with_name("pdf_child.py").read_text("utf-8").replace(
            "            say(page_facts(document[number], number + 1))",
            "            say(page_facts(document[number], number + 1))\n            import time\n"
            "            time.sleep(600 if number == 4 else 0)",
        )
    )  # fmt: skip
    monkeypatch.setattr(pdf, "_PROGRAM", slow)
    read = read_pdf(long_paper(tmp_path / "long.pdf", 20), most_seconds=6)
    assert "5 of 20 pages were read (it took longer than 6 s)" in read.notes


@pytest.mark.parametrize("fault", ["import os; os.abort()", "x = [bytes(1 << 30) for _ in range(9)]"])
def test_a_crash_of_the_reader_is_not_ours(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "crash.py"
    source = Path(pdf.__file__).with_name("pdf_child.py").read_text("utf-8")
    program.write_text(
        source.replace(
            "    import pymupdf\n\n    pymupdf.TOOLS",
            f"    {fault}\n    import pymupdf\n\n    pymupdf.TOOLS",
            1,
        )
    )
    monkeypatch.setattr(pdf, "_PROGRAM", program)
    with pytest.raises(UnreadableFile, match=r"the reader ended with (signal 6|code 1)"):
        read_pdf(one_column_paper(tmp_path / "one.pdf"))


def test_the_reading_program_sees_no_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S2_API_KEY", "planted-key")
    program = tmp_path / "show.py"
    program.write_text("import os, json; print(json.dumps({'error': str(sorted(os.environ.values()))}))")
    monkeypatch.setattr(pdf, "_PROGRAM", program)
    with pytest.raises(UnreadableFile) as raised:
        read_pdf(one_column_paper(tmp_path / "one.pdf"))
    assert "planted-key" not in str(raised.value)


def test_sentences_do_not_end_at_abbreviations() -> None:
    text = "Vaswani et al. (2017) use it, e.g. In Fig. 2. Then J. Smith says: no. (It is true.) Next?"
    assert split_sentences(text) == [
        "Vaswani et al. (2017) use it, e.g. In Fig. 2.", "Then J. Smith says: no.", "(It is true.)", "Next?"
    ]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(st.sampled_from(["gate", "decays.", "The", "a", "x" * 40, "end?"]), min_size=1), max_size=6
    )
)
def test_passages_keep_every_word_in_order_and_are_bounded(paragraphs: list[list[str]]) -> None:
    section = Section("1 X", [Paragraph(" ".join(words * 40), [(0, 3)]) for words in paragraphs])
    passages = passages_of([section])
    assert " ".join(passage.text for passage in passages).split() == [
        word for words in paragraphs for word in words * 40
    ]
    assert all(0 < len(passage.text.split()) <= MOST_WORDS and passage.page == 3 for passage in passages)


@pytest.mark.parametrize(
    ("text", "line", "words", "whole"),
    [
        ("a lan-", "guage model", set(), "a language model"),
        ("state-of-", "the-art", set(), "state-of-the-art"),
        ("Transformer-", "XL is", set(), "Transformer-XL is"),
        ("the well-", "known", {"well", "known"}, "the well-known"),
        ("a pre-", "trained", {"pre-trained"}, "a pre-trained"),
        ("a pre-", "trained", {"pre-trained", "pretrained"}, "a pretrained"),
        ("soft\u00ad", "max", set(), "softmax"),
        ("from 3 -", "5", set(), "from 3 - 5"),
    ],
)
def test_lines_are_joined(text: str, line: str, words: set[str], whole: str) -> None:
    assert join_lines(text, line, words) == whole
