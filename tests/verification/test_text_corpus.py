"""The reader's own text: what becomes a document, who is held out, what is refused."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_discovery.errors import UserError
from model_discovery.verification.text_corpus import BIG_FILE, checksum_corpus, read_corpus

PARAGRAPHS = ["".join(f"Sentence {n} of paragraph {p}. " for n in range(40)) for p in range(200)]


def spaceless(text: str) -> str:
    """The text without white space."""
    return "".join(text.split())


def test_big_file_is_cut_at_blank_lines_and_nothing_is_lost(tmp_path: Path) -> None:
    file = tmp_path / "book.txt"
    file.write_text("\n\n".join(PARAGRAPHS))
    corpus = read_corpus(file)
    documents = sorted(corpus.train + corpus.held_out)
    assert sorted(map(spaceless, documents)) == sorted(map(spaceless, PARAGRAPHS))
    share = sum(map(len, corpus.held_out)) / sum(map(len, documents))
    assert 0.04 < share < 0.08


def test_small_files_stay_whole_and_hidden_ones_are_passed_over(tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / f"{number}.txt").write_text(f"Paragraph {number}.\n\nAnother of {number}.")
    (tmp_path / ".hidden").write_text("secret")
    corpus = read_corpus(tmp_path)
    documents = corpus.train + corpus.held_out
    assert len(documents) == 40
    assert all(document.count("\n\n") == 1 for document in documents)


def test_a_file_without_blank_lines_is_cut_at_line_ends(tmp_path: Path) -> None:
    lines = [f"line {number} of a long file without paragraphs" for number in range(4000)]
    (tmp_path / "a.txt").write_text("\n".join(lines))
    corpus = read_corpus(tmp_path)
    assert len(corpus.train) > 50
    assert sorted("\n".join(corpus.train + corpus.held_out).split("\n")) == sorted(lines)


def test_a_line_without_end_is_cut_at_spaces(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("word " * 60_000)
    corpus = read_corpus(tmp_path)
    assert all("wordword" not in document for document in corpus.train + corpus.held_out)


def test_jsonl_is_one_document_a_line(tmp_path: Path) -> None:
    rows = [json.dumps({"text": f"document {number}", "id": number}) for number in range(30)]
    (tmp_path / "a.jsonl").write_text("\n".join(rows) + "\n")
    corpus = read_corpus(tmp_path)
    assert set(corpus.train + corpus.held_out) == {f"document {number}" for number in range(30)}


@given(st.lists(st.text("ab \n", min_size=1, max_size=6), min_size=2, max_size=40), st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_identical_documents_are_never_on_both_sides(texts: list[str], copies: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        for number, text in enumerate(texts + texts[:copies]):
            (Path(folder) / f"{number:03}.txt").write_text(text)
        try:
            corpus = read_corpus(Path(folder))
        except UserError:
            return
    sides = [{" ".join(text.split()) for text in side} for side in (corpus.train, corpus.held_out)]
    assert not sides[0] & sides[1]
    assert all(sides)


def test_the_split_does_not_depend_on_names_or_order(tmp_path: Path) -> None:
    for folder, names in (("one", range(60)), ("two", range(60, 0, -1))):
        (tmp_path / folder).mkdir()
        for number, name in enumerate(names):
            (tmp_path / folder / f"{name:03}.txt").write_text(f"the text of document {number}")
    one, two = (read_corpus(tmp_path / folder) for folder in ("one", "two"))
    assert sorted(one.held_out) == sorted(two.held_out)


def test_files_that_are_not_text_are_left_out_and_named(tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\0\0\0")
    (tmp_path / "book.txt").write_text("\n\n".join(PARAGRAPHS))
    assert read_corpus(tmp_path).skipped == ("picture.png",)


def test_checksum_is_of_contents(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.txt").write_text("a text")
    assert checksum_corpus(tmp_path / "one") == checksum_corpus(tmp_path / "two")
    (tmp_path / "two" / "a.txt").write_text("another text")
    assert checksum_corpus(tmp_path / "one") != checksum_corpus(tmp_path / "two")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"", "empty"),
        ("a.txt", b"  \n\n ", "empty"),
        ("a.txt", b"\0\1\2" * 50, "binary"),
        ("a.txt", "d\xe9j\xe0 vu ".encode("latin1") * 9, "not UTF-8"),
        ("a.txt", b"word", "single document"),
        ("a.jsonl", b'{"text": "fine"}\n{"text": \n', "line 2: not JSON"),
        ("a.jsonl", b'{"texts": "fine"}\n', "Did you mean 'texts'"),
    ],
)
def test_bad_files_get_one_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_corpus(tmp_path)


def test_missing_and_empty_folders(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no corpus at"):
        read_corpus(tmp_path / "nowhere")
    with pytest.raises(UserError, match="empty"):
        read_corpus(tmp_path)


def test_real_text_is_split_by_document(shared_data: Path) -> None:
    corpus = read_corpus(shared_data / "corpus" / "dev")
    total = sum(map(len, corpus.train + corpus.held_out))
    assert 0.04 < sum(map(len, corpus.held_out)) / total < 0.08
    assert max(map(len, corpus.train)) < 16 * BIG_FILE
