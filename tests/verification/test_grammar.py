"""The grammar: a language of laws, and pairs that break exactly one of them."""

import hashlib
import itertools
import json
from collections import Counter
from pathlib import Path

import pytest

from model_discovery.blocks.scales import SCALES
from model_discovery.verification.grammar import PHENOMENA, Grammar, Phenomenon
from model_discovery.verification.grammar.lexicon import MASCULINE
from model_discovery.verification.grammar.pairs import make_pairs
from model_discovery.verification.grammar.sampling import Weighted, draws, shuffled
from model_discovery.verification.grammar.tables import held_out_pair
from model_discovery.verification.recipe import GRAMMAR_VERSION

COUNT = 200
DIGEST = "ec115821ee2701bd"


@pytest.fixture(scope="module")
def grammar() -> Grammar:
    return Grammar(0)


@pytest.fixture(scope="module")
def sentences(grammar: Grammar) -> list[list[str]]:
    """Sentences of a thousand training documents."""
    found: list[list[str]] = []
    for document in itertools.islice(grammar.documents("train"), 1000):
        marks = [index for index, word in enumerate(document) if word in (".", "?")]
        found += [document[a + 1 : b + 1] for a, b in zip([-1, *marks], marks, strict=False)]
    return found


def test_language_of_a_seed_is_fixed(grammar: Grammar) -> None:
    """Other bytes are another language: raise ``GRAMMAR_VERSION`` with this digest."""
    documents = itertools.islice(grammar.documents("train"), 200)
    text = "\n".join(" ".join(document) for document in documents)
    pairs = [make_pairs(grammar.tables, 0, phenomenon, 20) for phenomenon in PHENOMENA]
    digest = hashlib.sha256((text + json.dumps(pairs)).encode()).hexdigest()[:16]
    assert (GRAMMAR_VERSION, digest) == (3, DIGEST)


def test_seeds_differ_and_words_stay_apart() -> None:
    vocabularies = [Grammar(seed).words for seed in range(5)]
    assert len({tuple(words) for words in vocabularies}) == 5
    for words in vocabularies:
        assert words == sorted(set(words))
        assert 520 <= len(words) <= 640


def test_words_are_zipfian_and_all_known(grammar: Grammar) -> None:
    counts: Counter[str] = Counter()
    lengths = []
    for document in itertools.islice(grammar.documents("train"), 1500):
        counts.update(document)
        lengths.append(len(document))
    assert set(counts) <= set(grammar.words)
    assert len(counts) > 0.95 * len(grammar.words)
    assert 80 < sum(lengths) / len(lengths) < 128
    ranked = [count for _, count in counts.most_common()]
    total = sum(ranked)
    assert 0.4 < sum(ranked[:20]) / total < 0.7
    assert sum(ranked[200:]) / total < 0.2


def test_splits_have_no_document_in_common(grammar: Grammar) -> None:
    train = {tuple(document) for document in itertools.islice(grammar.documents("train"), 2000)}
    held_out = {tuple(document) for document in itertools.islice(grammar.documents("held_out"), 400)}
    assert not train & held_out


def test_pairings_held_out_never_occur_in_training(grammar: Grammar) -> None:
    """Nouns joined by prepositions that only stand inside noun phrases."""
    numbers = {form: noun.index for noun in grammar.lexicon.nouns for form in (noun.singular, noun.plural)}
    met = {"train": 0, "held_out": 0}
    for split in ("train", "held_out"):
        for document in itertools.islice(grammar.documents(split), 1500):
            for head, preposition, _, inner in zip(
                document, document[1:], document[2:], document[3:], strict=False
            ):
                inside = preposition in ("on", "with", "under", "above", "from")
                if inside and head in numbers and inner in numbers:
                    met[split] += held_out_pair(numbers[head], numbers[inner])
    assert met["train"] == 0
    assert met["held_out"] > 20


def test_subject_and_verb_agree(grammar: Grammar, sentences: list[list[str]]) -> None:
    """Determiner, noun, verb at the start of a sentence: the forms say one number."""
    singular = {noun.singular for noun in grammar.lexicon.nouns} | {
        verb.singular for verb in grammar.lexicon.verbs
    }
    plural = {noun.plural for noun in grammar.lexicon.nouns} | {verb.base for verb in grammar.lexicon.verbs}
    singular |= {"is", "was", "has", "does", "herself", "himself", "itself"}
    plural |= {"are", "were", "have", "do", "themselves"}
    checked = 0
    for determiner, noun, verb, *_ in (sentence for sentence in sentences if len(sentence) > 3):
        if determiner in ("the", "these", "this", "every", "many") and noun in singular | plural:
            assert not (noun in singular and verb in plural), (determiner, noun, verb)
            assert not (noun in plural and verb in singular), (determiner, noun, verb)
            checked += 1
    assert checked > 1000


def test_reflexives_fit_names(grammar: Grammar, sentences: list[list[str]]) -> None:
    """Clauses with one name in front, nobody else in between, and a reflexive at the end."""
    genders = {name.text: name.gender for name in grammar.lexicon.names}
    others = {"that", "and", "but", "because", "while", "the", "this", "a"}
    checked = 0
    for sentence in sentences:
        known = [genders[word] for word in sentence if word in genders]
        front = sentence[0] in {"lord", "lady", *genders}
        if (
            len(known) == 1
            and front
            and sentence[-2] in ("himself", "herself")
            and not others & set(sentence)
        ):
            assert (sentence[-2] == "himself") == (known[0] == MASCULINE), sentence
            checked += 1
    assert checked > 100


def test_nesting_reaches_three_levels(sentences: list[list[str]]) -> None:
    linkers = ("that", "who", "on", "with", "under", "above", "from")
    depths = Counter(sum(word in linkers for word in sentence) for sentence in sentences)
    assert depths[3] > 50


def test_ever_needs_a_negative(sentences: list[list[str]]) -> None:
    ever = [sentence for sentence in sentences if "ever" in sentence]
    assert len(ever) > 200
    assert all(sentence[0] in ("no", "few") for sentence in ever)


@pytest.mark.parametrize("phenomenon", PHENOMENA, ids=lambda phenomenon: phenomenon.name)
def test_pairs_differ_in_one_word_and_use_known_words(grammar: Grammar, phenomenon: Phenomenon) -> None:
    pairs = make_pairs(grammar.tables, 0, phenomenon, COUNT)
    assert len(pairs) == COUNT
    assert phenomenon.min_scale in SCALES
    for good, bad in pairs:
        assert len(good) == len(bad)
        assert sum(a != b for a, b in zip(good, bad, strict=True)) == 1
        assert {*good, *bad} <= set(grammar.words)
        assert good[-1] in (".", "?")
    assert len({" ".join(good) for good, _ in pairs}) == COUNT


@pytest.mark.parametrize("phenomenon", PHENOMENA, ids=lambda phenomenon: phenomenon.name)
def test_words_alone_do_not_tell_good_from_bad(grammar: Grammar, phenomenon: Phenomenon) -> None:
    """A model of word frequencies is near chance on every set, and mostly on all of them together."""
    counts = Counter(itertools.chain.from_iterable(itertools.islice(grammar.documents("train"), 1000)))
    right = 0.0
    for good, bad in make_pairs(grammar.tables, 0, phenomenon, COUNT):
        changed = next((a, b) for a, b in zip(good, bad, strict=True) if a != b)
        difference = counts[changed[0]] - counts[changed[1]]
        right += 0.5 if difference == 0 else float(difference > 0)
    assert 0.3 < right / COUNT < 0.7


def test_pairs_on_disk_have_their_fields(grammar: Grammar, tmp_path: Path) -> None:
    names = grammar.write_pairs(tmp_path / "pairs", 5)
    assert len(names) == len(PHENOMENA) == 13
    assert sum(phenomenon.min_scale == "0.1M" for phenomenon in PHENOMENA) == 12
    for name in names:
        rows = [json.loads(line) for line in (tmp_path / "pairs" / f"{name}.jsonl").read_text().splitlines()]
        assert len(rows) == 5
        assert set(rows[0]) == {"sentence_good", "sentence_bad", "phenomenon", "min_scale"}


def test_weighted_draws_follow_their_weights() -> None:
    table = Weighted("abc", [6, 3, 1])
    draw = draws(1)
    counts = Counter(table.draw(draw) for _ in range(10_000))
    assert abs(counts["a"] - 6000) < 200
    assert abs(counts["c"] - 1000) < 120
    with pytest.raises(ValueError, match="one weight"):
        Weighted("abc", [1])
    assert sorted(shuffled(range(9), draw)) == list(range(9))
