"""Words as numbers: what counts as a word, and that the numbers are the same everywhere."""

import re
import unicodedata

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from model_discovery.verification.words import HashIndex, hash_runs, hash_words


def counts(*texts: str) -> list[int]:
    """Words of each text."""
    return hash_words(texts).counts.tolist()


def hashes(text: str) -> list[int]:
    """The words of one text as numbers."""
    return hash_words([text]).hashes.tolist()


def test_numbers_are_the_same_in_every_process() -> None:
    assert hashes("Hello, world!") == [9728279284078645664, 12154829352504238964]


def test_case_space_and_punctuation_do_not_count() -> None:
    plain = hashes("the cat don t sit on a mat 2")
    assert hashes("The  CAT\ndon’t_sit — on (a) 'mat'... 2.") == plain
    assert hashes("cafe\u0301 ＡＢＣ") == hashes("caf\u00e9 abc")


def test_texts_keep_their_own_words() -> None:
    assert counts("", "one two", "...", "three", " ") == [0, 2, 0, 1, 0]
    assert counts() == []


def test_a_script_without_spaces_has_a_word_a_character() -> None:
    assert counts("我喜欢cats") == [4]
    assert counts("हिन्दी भाषा") == [2]


def test_words_of_the_same_letters_differ() -> None:
    words = ["on", "no", "noon", "a", "aa", "b", "x" * 70, "x" * 71]
    assert len(set(hashes(" ".join(words)))) == len(words)


@settings(deadline=None)
@given(st.lists(st.text(max_size=40), max_size=6))
def test_equals_a_regular_expression(texts: list[str]) -> None:
    found = hash_words(texts)
    known: dict[str, int] = {}
    wanted = [_plain_words(text) for text in texts]
    assert found.counts.tolist() == [len(words) for words in wanted]
    for word, number in zip([word for words in wanted for word in words], found.hashes.tolist(), strict=True):
        assert known.setdefault(word, number) == number
    assert len(set(known.values())) == len(known)


def _plain_words(text: str) -> list[str]:
    lowered = unicodedata.normalize("NFKC", text).lower()
    kept = "".join(c if c.isalnum() or unicodedata.category(c)[0] == "M" else " " for c in lowered)
    return re.findall("[\u2e80-\U0010ffff]|[^ \u2e80-\U0010ffff]+", kept)


def test_runs_are_equal_only_where_their_words_are() -> None:
    numbers = hash_words(["a b c a b d a b c"]).hashes
    runs = list(hash_runs(numbers, 12))
    assert [len(some) for some in runs] == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0]
    three = runs[2]
    assert three[0] == three[6]
    assert len(np.unique(three)) == 6


def test_a_sentence_opens_after_a_stop_a_quote_or_a_line() -> None:
    found = hash_words(['One, two. Three "four" - five\nsix', "seven eight"])
    assert found.opens.tolist() == [True, False, True, True, True, True, True, False]
    assert hash_words(["... a"]).opens.tolist() == [True]


@settings(deadline=None)
@given(st.lists(st.integers(0, 5), max_size=30), st.lists(st.integers(0, 5), max_size=30))
def test_an_index_finds_what_it_knows(known: list[int], asked: list[int]) -> None:
    spread = np.array([np.uint64(value) << np.uint64(61) for value in range(6)])
    hashes = spread[np.array(known, np.int64)]
    index = HashIndex(hashes)
    assert np.array_equal(index.known[index.rows], hashes)
    places, rows = index.find(spread[np.array(asked, np.int64)])
    assert places.tolist() == [place for place, value in enumerate(asked) if value in known]
    assert np.array_equal(index.known[rows], spread[np.array(asked, np.int64)][places])


def test_broken_text_is_no_error() -> None:
    assert counts("a \ud800 b") == [2]
