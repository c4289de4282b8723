"""Tokenizers: words for the grammar, bytes for everything else, the same on every call."""

from pathlib import Path

import pytest

from model_discovery.errors import UserError
from model_discovery.verification.tokenizers import (
    SEPARATOR,
    SEPARATOR_ID,
    entries,
    load_tokenizer,
    train_bpe,
    word_tokenizer,
)

TEXT = [f"The {a} {b} the {c}." for a in ("cat", "dog") for b in ("sees", "helps") for c in ("bird", "käfer")]


def test_words_keep_their_order_and_white_space_does_not_count(tmp_path: Path) -> None:
    tokenizer = word_tokenizer(["cats", "sleep", "."])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    loaded = load_tokenizer(tmp_path / "tokenizer.json")
    assert loaded.token_to_id(SEPARATOR) == SEPARATOR_ID
    assert loaded.encode(" cats  sleep .").ids == [2, 3, 4]
    assert loaded.encode("dogs sleep").ids == [1, 3]


def test_words_must_differ() -> None:
    with pytest.raises(ValueError, match="twice"):
        word_tokenizer(["cats", "cats"])


def test_bpe_gives_back_every_text() -> None:
    tokenizer = train_bpe(TEXT, 300)
    for text in ("The cat sees.", "naïve façade ☃ 漢字", "\n\n\ttabs", SEPARATOR):
        ids = tokenizer.encode(text).ids
        assert tokenizer.decode(ids) == text
        assert SEPARATOR_ID not in ids


def test_bpe_is_the_same_twice_and_after_saving(tmp_path: Path) -> None:
    one, two = train_bpe(TEXT * 20, 320), train_bpe(iter(TEXT * 20), 320)
    assert one.to_str() == two.to_str()
    assert one.get_vocab_size() <= 320
    assert one.token_to_id(SEPARATOR) == SEPARATOR_ID
    one.save(str(tmp_path / "tokenizer.json"))
    loaded = load_tokenizer(tmp_path / "tokenizer.json")
    assert loaded.encode(SEPARATOR + TEXT[0]).ids == one.encode(SEPARATOR + TEXT[0]).ids


def test_missing_tokenizer_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"tokenizer\.json"):
        load_tokenizer(tmp_path / "tokenizer.json")


def test_a_damaged_tokenizer_is_named(tmp_path: Path) -> None:
    file = tmp_path / "tokenizer.json"
    file.write_text('{"version": "1.0", "model": {')
    with pytest.raises(UserError, match=r"tokenizer\.json is not a tokenizer"):
        load_tokenizer(file)


def test_a_tokenizer_of_another_vocabulary_is_refused(tmp_path: Path) -> None:
    tokenizer = word_tokenizer(["cats", "sleep"])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert entries(load_tokenizer(tmp_path / "tokenizer.json", 4)) == 4
    with pytest.raises(UserError, match="has 4 entries, the data 3"):
        load_tokenizer(tmp_path / "tokenizer.json", 3)
