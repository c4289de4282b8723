"""Near-duplicates: what must be found, what must not, and the definition they are measured by."""

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_discovery.verification.near_duplicates import FEWEST_CONTAINED, SHINGLE_WORDS, NearDuplicates
from model_discovery.verification.text_corpus import read_corpus

SOME_TEXTS = st.lists(st.text(max_size=60), min_size=1, max_size=8)
FEW_WORDS = st.lists(st.sampled_from("abc"), max_size=60).map(" ".join)


def words(count: int, seed: int) -> list[str]:
    """Random words that no other seed shares."""
    draw = random.Random(seed)
    return [f"{draw.choice('bdfgklmn')}{draw.randrange(10**6)}x{seed}" for _ in range(count)]


def article(count: int = 200, seed: int = 0) -> str:
    """A document of random words."""
    return " ".join(words(count, seed))


@settings(deadline=None)
@given(SOME_TEXTS)
def test_a_copy_always_matches(documents: list[str]) -> None:
    assert all(NearDuplicates(documents).matches(documents))


@settings(deadline=None)
@given(st.lists(FEW_WORDS, max_size=5), st.lists(FEW_WORDS, max_size=5), st.sampled_from([0.3, 0.8, 1.0]))
def test_equals_the_definition(held_out: list[str], texts: list[str], threshold: float) -> None:
    found = NearDuplicates(held_out, threshold=threshold).matches(texts)
    assert found == [any(_near(text, other, threshold) for other in held_out) for text in texts]


def _near(a: str, b: str, threshold: float) -> bool:
    one, other = _shingles(a), _shingles(b)
    smaller = min(len(one), len(other))
    whole = smaller if smaller >= FEWEST_CONTAINED else len(one | other)
    return len(one & other) >= threshold * whole - 1e-9


def _shingles(text: str) -> set[tuple[str, ...]]:
    found = text.split()
    if len(found) < SHINGLE_WORDS:
        return {tuple(found)}
    return {tuple(found[at : at + SHINGLE_WORDS]) for at in range(len(found) - SHINGLE_WORDS + 1)}


@settings(deadline=None)
@given(st.lists(FEW_WORDS, max_size=6), st.lists(FEW_WORDS, max_size=6), st.randoms(use_true_random=False))
def test_order_says_nothing(held_out: list[str], texts: list[str], draw: random.Random) -> None:
    found = dict(zip(texts, NearDuplicates(held_out).matches(texts), strict=True))
    mixed = draw.sample(texts, len(texts))
    again = NearDuplicates(draw.sample(held_out, len(held_out))).matches(mixed)
    assert dict(zip(mixed, again, strict=True)) == found


def test_spelling_out_of_case_space_and_punctuation_hides_nothing() -> None:
    index = NearDuplicates([article()])
    assert index.matches([article().upper().replace(" ", ",\n")]) == [True]


@pytest.mark.parametrize(("changed", "near"), [(0, True), (4, True), (7, True), (8, False), (40, False)])
def test_each_changed_word_costs_five_shingles(changed: int, near: bool) -> None:
    copied = words(200, 0)
    for number in range(changed):
        copied[10 + 12 * number % 185] = f"new{number}"
    # 196 shingles; at a threshold of 0.8 as many as 39 may differ, seven changed words.
    assert NearDuplicates([article()]).matches([" ".join(copied)]) == [near]


def test_a_document_inside_another_is_found_from_either_side() -> None:
    long, short = article(2000), " ".join(words(2000, 0)[500:600])
    assert NearDuplicates([short]).matches([long + " and a footer"]) == [True]
    assert NearDuplicates([long]).matches([short]) == [True]


def test_a_quotation_is_no_copy() -> None:
    quotation = " ".join(words(2000, 0)[500:523])
    assert NearDuplicates([quotation]).matches([article(2000)]) == [False]
    assert NearDuplicates([quotation]).matches([quotation]) == [True]


def test_unrelated_documents_do_not_match() -> None:
    index = NearDuplicates(article(100, seed) for seed in range(300))
    assert len(index) == 300
    assert not any(index.matches([article(100, seed) for seed in range(300, 900)]))


def test_an_empty_index_matches_nothing() -> None:
    assert NearDuplicates([]).matches(["", "some text"]) == [False, False]


@pytest.mark.parametrize("threshold", [0.0, 1.1, float("nan")])
def test_a_threshold_that_is_no_share_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match="threshold"):
        NearDuplicates([], threshold=threshold)


@pytest.mark.slow
def test_real_text_matches_only_where_it_was_copied(shared_data: Path) -> None:
    corpus = read_corpus(shared_data / "corpus" / "train")
    found = NearDuplicates(corpus.held_out).matches(corpus.train)
    # Read by hand: two recordings printed twice, two reviews with other headers; the next pair shares 0.47.
    assert sum(found) == 4
