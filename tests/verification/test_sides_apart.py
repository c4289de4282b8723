"""No document is on both sides: a corpus full of near-duplicates, through the whole of its preparation."""

import json
import random
from pathlib import Path

import numpy as np
import pytest

from model_discovery.verification import get_recipe, prepare
from model_discovery.verification.manifest import DataManifest, Split
from model_discovery.verification.near_duplicates import NearDuplicates
from model_discovery.verification.tokenizers import load_tokenizer

ARTICLES = 60
WORDS = [
    a + b + c for a in ("ba", "do", "ki", "mu") for b in ("la", "ne", "ri") for c in ("t", "s", "m", "x")
]


def article(number: int) -> list[str]:
    """Sixty words that belong to no other article."""
    draw = random.Random(number)
    return ["".join(draw.choices(WORDS, k=3)) for _ in range(60)]


def variants(number: int) -> list[str]:
    """An article as it stands in several places of the web."""
    words = article(number)
    changed = [*words[:30], "otherwise", *words[31:]]
    footer = [word for other in range(3) for word in article(10_000 + 3 * number + other)]
    return [
        " ".join(words),
        " ".join(words).upper().replace(" ", ", ") + "!",
        " ".join(changed),
        " ".join([*words, *footer]),
        " ".join(words[4:]),
    ]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All variants of all articles, far from each other, and as many articles that stand alone."""
    documents = [text for number in range(ARTICLES) for text in variants(number)]
    documents += [" ".join(article(number)) for number in range(ARTICLES, 3 * ARTICLES)]
    random.Random(0).shuffle(documents)
    folder = tmp_path_factory.mktemp("corpus")
    (folder / "train.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in documents))
    return folder


def documents(data: DataManifest, split: Split) -> list[str]:
    """The documents of a split, read back from its tokens."""
    tokens = np.asarray(data.stream(split).tokens)
    parts = np.split(tokens, np.flatnonzero(tokens == data.separator_id))[1:-1]
    return load_tokenizer(data.tokenizer).decode_batch([part[1:].tolist() for part in parts])


@pytest.mark.parametrize("way", ["corpus", "data set"])
def test_no_near_duplicate_is_on_both_sides(corpus: Path, tmp_path: Path, way: str) -> None:
    recipe = get_recipe("text", corpus=corpus) if way == "corpus" else get_recipe(str(corpus))
    data = prepare(recipe, "0.1M", tmp_path)
    train, held_out = documents(data, "train"), documents(data, "held_out")
    assert (len(train), len(held_out)) == (data.train_documents, data.held_out_documents)
    sides = [{_article_of(text) for text in side} for side in (train, held_out)]
    assert not sides[0] & sides[1]
    assert len(sides[0] | sides[1]) == 3 * ARTICLES
    copied = [number for number in sides[1] if number < ARTICLES]
    assert copied, "no article with copies was held out: nothing was shown"
    assert len(train) + len(held_out) < 7 * ARTICLES
    assert any("near-duplicates" in note for note in data.notes)


def test_the_grammar_says_nothing_twice(tmp_path: Path) -> None:
    data = prepare(get_recipe("grammar"), "0.1M", tmp_path)
    train, held_out = documents(data, "train"), documents(data, "held_out")
    assert min(len(train), len(held_out)) > 300
    assert not any(NearDuplicates(held_out, threshold=0.5).matches(train))


def _article_of(text: str) -> int:
    """Which article a document is a variant of, by most of its words."""
    found = [_OWNER.get(word.strip(",!").lower(), -1) for word in text.split()]
    known = [number for number in found if number >= 0]
    return max(set(known), key=known.count)


_OWNER = {word: number for number in range(3 * ARTICLES) for word in article(number)}
