"""Streams: nothing lost, nothing twice, the same order for everybody, resumable at any step."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_discovery.errors import UserError
from model_discovery.verification.streams import (
    IGNORED,
    Stream,
    batch_at,
    batches,
    epoch_order,
    evaluation_batches,
    open_stream,
    token_dtype,
    unigram_loss,
    window,
    window_count,
    write_stream,
)

DOCUMENTS = st.lists(st.lists(st.integers(1, 99), max_size=12), min_size=1, max_size=12)


def stream_of(length: int) -> Stream:
    """A stream whose tokens are their own positions."""
    return Stream(Path("numbers"), np.arange(length, dtype="<u4"))


@given(DOCUMENTS, st.sampled_from([100, 70_000]))
@settings(max_examples=30, deadline=None)
def test_what_is_written_is_read(documents: list[list[int]], vocab_size: int) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "train.bin"
        tokens, count = write_stream(path, documents, vocab_size)
        read = open_stream(path, token_dtype(vocab_size)).tokens.tolist()
    assert len(read) == tokens
    assert count == len(documents)
    expected = [token for document in documents for token in (0, *document)] + [0]
    assert read == expected


@given(st.integers(9, 300), st.integers(1, 8))
@settings(max_examples=60, deadline=None)
def test_windows_have_every_target_once(length: int, context: int) -> None:
    stream = stream_of(length)
    seen: list[int] = []
    for index in range(window_count(stream, context)):
        inputs, labels = window(stream, index, context)
        assert inputs.shape == labels.shape == (context,)
        wanted = labels != IGNORED
        assert (labels[wanted] == inputs[wanted] + 1).all()
        seen += labels[wanted].tolist()
    assert sorted(seen) == list(range(1, length))


@given(st.integers(40, 200), st.integers(1, 8), st.integers(1, 5), st.integers(0, 2**40))
@settings(max_examples=40, deadline=None)
def test_an_epoch_trains_every_token_once(length: int, context: int, rows: int, seed: int) -> None:
    stream = stream_of(length)
    epochs = 3
    windows = window_count(stream, context)
    counts = np.zeros(length, dtype=int)
    labels: list[np.ndarray] = []
    for step in range(-(-epochs * windows // rows)):
        labels += list(batch_at(stream, batch_size=rows, context=context, step=step, seed=seed).labels)
    for row in labels[: epochs * windows]:
        counts[row[row != IGNORED]] += 1
    assert (counts[1:] == epochs).all()


@given(st.integers(0, 40), st.integers(0, 2**40))
@settings(max_examples=30, deadline=None)
def test_resumed_batches_are_the_uninterrupted_ones(start: int, seed: int) -> None:
    stream = stream_of(500)
    whole = batches(stream, batch_size=3, context=16, seed=seed)
    for _ in range(start):
        next(whole)
    resumed = batches(stream, batch_size=3, context=16, step=start, seed=seed)
    for _ in range(5):
        one, other = next(whole), next(resumed)
        assert (one.inputs == other.inputs).all()
        assert (one.labels == other.labels).all()


def test_order_depends_on_seed_and_epoch_and_is_fixed() -> None:
    assert epoch_order(8, 0, 0).tolist() == [7, 1, 2, 0, 3, 5, 6, 4]
    orders = {tuple(epoch_order(50, seed, epoch)) for seed in (0, 1) for epoch in (0, 1)}
    assert len(orders) == 4
    assert all(sorted(order) == list(range(50)) for order in orders)


def test_evaluation_takes_windows_in_order() -> None:
    stream = stream_of(101)
    shown = list(evaluation_batches(stream, batch_size=4, context=10))
    assert [batch.inputs.shape for batch in shown] == [(4, 10), (4, 10), (2, 10)]
    assert np.concatenate([batch.labels.ravel() for batch in shown]).tolist() == list(range(1, 101))
    assert sum(batch.targets for batch in shown) == stream.targets
    some = list(evaluation_batches(stream, batch_size=4, context=10, tokens=41))
    assert sum(batch.targets for batch in some) == 50


def test_unigram_loss_is_the_entropy_of_even_tokens(tmp_path: Path) -> None:
    even = [[1 + index % 4 for index in range(4000)]]
    write_stream(tmp_path / "a.bin", even, 5)
    stream = open_stream(tmp_path / "a.bin", token_dtype(5))
    assert unigram_loss(stream, stream, 5) == pytest.approx(np.log(4), abs=0.01)


def test_a_stream_too_short_or_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="fewer than one context"):
        window_count(stream_of(5), 8)
    with pytest.raises(UserError, match=r"gone\.bin"):
        open_stream(tmp_path / "gone.bin", "<u2")
    (tmp_path / "empty.bin").touch()
    with pytest.raises(UserError, match=r"empty\.bin"):
        open_stream(tmp_path / "empty.bin", "<u2")
