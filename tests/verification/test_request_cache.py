"""What is remembered is what would have been made, and only for the same tokenizer, sizes and texts."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_discovery.verification.encoding import Encoder
from model_discovery.verification.request_cache import RequestCache, _key

texts = st.lists(st.tuples(st.text("ab ", max_size=3), st.text("ab ", max_size=3)), max_size=4)


class Counting:
    """An encoder of letters that counts how often it is called."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, text: str) -> list[int]:
        self.calls += 1
        return [ord(letter) for letter in text]


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str], Path]:
    def write(content: str) -> Path:
        path = tmp_path / "tokenizer.json"
        path.write_text(content)
        return path

    return write


TEXTS = [("", " one"), ("a", " two"), ("", " one")]


def test_the_second_model_costs_no_encoding(file: Callable[[str], Path]) -> None:
    cache, count = RequestCache(), Counting()
    encoder = Encoder(count, 0, 16)
    first = cache.planner(encoder, file("x"))(TEXTS)
    assert first == encoder.plan(TEXTS)
    calls = count.calls
    assert cache.planner(Encoder(count, 0, 16), file("x"))(list(TEXTS)) == first
    assert count.calls == calls


def test_other_tokenizers_sizes_and_texts_are_planned_anew(file: Callable[[str], Path]) -> None:
    cache, count = RequestCache(), Counting()
    cache.planner(Encoder(count, 0, 16), file("x"))(TEXTS)
    for content, separator, longest, asked in (
        ("y", 0, 16, TEXTS),
        ("x", 1, 16, TEXTS),
        ("x", 0, 2, TEXTS),
        ("x", 0, 16, TEXTS[1:]),
        ("x", 0, 16, [*TEXTS[1:], TEXTS[0]]),
    ):
        before, encoder = count.calls, Encoder(count, separator, longest)
        found = cache.planner(encoder, file(content))(asked)
        assert count.calls > before
        assert found == encoder.plan(asked)


def test_memory_is_bounded(file: Callable[[str], Path]) -> None:
    cache, count = RequestCache(most_tokens=40), Counting()
    plan = cache.planner(Encoder(count, 0, 16), file("x"))
    for number in range(9):
        plan([("", f" item {number}")])
        assert cache.tokens <= 40
    before = count.calls
    plan([("", " item 8")])
    assert count.calls == before  # the last is still known
    plan([("", " item 0")])
    assert count.calls > before  # the first is not
    plan([("", " " + letter * 30) for letter in "abc"])
    assert cache.tokens <= 40


@given(one=texts, other=texts)
def test_different_texts_have_different_keys(
    one: list[tuple[str, str]], other: list[tuple[str, str]]
) -> None:
    assert (_key("", one) == _key("", other)) == (one == other)
