"""Tokenizers made elsewhere: their own separator in the stream, refusals that say what is missing."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from made_up_sets import documents, write_parquet
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from model_discovery.errors import UserError
from model_discovery.verification import get_recipe, prepare
from model_discovery.verification.foreign_tokenizers import find_tokenizer, open_foreign, separator_of
from model_discovery.verification.streams import unigram_loss
from model_discovery.verification.tokenizers import load_tokenizer


def write_foreign(folder: Path, end: str | None = "<|stop|>", settings: bool = True) -> Path:
    """A byte-level BPE as others ship them: the end of text is its last id, and it pads and truncates."""
    folder.mkdir(parents=True)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(documents(200, seed=0), trainer)
    if end is not None:
        tokenizer.add_special_tokens([AddedToken("<|pad|>", special=True), AddedToken(end, special=True)])
    tokenizer.enable_truncation(16)
    tokenizer.enable_padding(length=16)
    tokenizer.save(str(folder / "tokenizer.json"))
    if settings:
        (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": {"content": end}}))
    return folder


def test_its_own_end_of_text_separates_documents(tmp_path: Path) -> None:
    folder = write_foreign(tmp_path / "theirs")
    texts = [*documents(700, seed=3), "It says <|stop|> here, and goes on."]
    write_parquet(tmp_path / "set", texts)
    data = prepare(get_recipe(str(tmp_path / "set"), tokenizer=str(folder)), "0.1M", tmp_path / "data")
    tokenizer = load_tokenizer(data.tokenizer, data.vocab_size)
    assert data.separator_id == tokenizer.token_to_id("<|stop|>") == data.vocab_size - 1 != 0
    assert separator_of(data.tokenizer) == ("<|stop|>", data.separator_id)
    found = []
    for split in ("train", "held_out"):
        ids = np.asarray(data.stream(split).tokens)
        assert int(ids.max()) < data.vocab_size
        cuts = np.flatnonzero(ids == data.separator_id)
        found += [tokenizer.decode(ids[a + 1 : b], skip_special_tokens=False) for a, b in pairwise(cuts)]
    assert sorted(found) == sorted(texts)
    assert unigram_loss(data.stream("train"), data.stream("held_out"), data.vocab_size) == data.unigram_loss


def test_the_recipe_knows_the_files_not_their_place(tmp_path: Path) -> None:
    write_parquet(tmp_path / "set", documents(10, seed=1))
    one, two = (write_foreign(tmp_path / name) for name in ("one", "two"))
    other = write_foreign(tmp_path / "other", end="</s>")
    recipes = [
        get_recipe(str(tmp_path / "set"), tokenizer=str(path))
        for path in (one, two / "tokenizer.json", other)
    ]
    assert recipes[0].hash == recipes[1].hash != recipes[2].hash
    assert recipes[0].data_key("0.1M") == recipes[1].data_key("0.1M") != recipes[2].data_key("0.1M")
    assert recipes[0].vocabulary_for("0.1M") is None


def test_known_ends_serve_where_settings_are_missing(tmp_path: Path) -> None:
    _, index = open_foreign(str(write_foreign(tmp_path / "plain", end="</s>", settings=False)))
    assert index > 0
    with pytest.raises(UserError, match="no token that ends a text"):
        open_foreign(str(write_foreign(tmp_path / "endless", end=None, settings=False)))


def test_bad_tokenizers_get_one_line(tmp_path: Path) -> None:
    write_parquet(tmp_path / "set", documents(10, seed=1))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"has no tokenizer\.json"):
        get_recipe(str(tmp_path / "set"), tokenizer=str(tmp_path / "empty"))
    with pytest.raises(UserError, match="There is no tokenizer at"):
        find_tokenizer(str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="The grammar's words are its tokenizer"):
        get_recipe("grammar", tokenizer="bpe")
    with pytest.raises(UserError, match="'word' is the grammar's"):
        get_recipe(str(tmp_path / "set"), tokenizer="word")


def test_without_a_network_the_tokenizer_is_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=r"No network: the tokenizer nobody/nothing .*tokenizer bpe"):
        open_foreign("nobody/nothing")
