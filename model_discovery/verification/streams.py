"""Packed token streams: one memmap a split, documents joined by separators, nothing padded, nothing cut off.

A stream is read in windows of ``context + 1`` tokens that overlap by one, so that every token but the very
first (a separator) is a target exactly once an epoch. Which window comes when depends only on the seed and
the step number: a run that goes on at step ``n`` sees what an uninterrupted one would have seen.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model_discovery.errors import UserError
from model_discovery.seeds import derive
from model_discovery.verification.tokenizers import SEPARATOR_ID

IGNORED = -100
_PIECE = 1 << 24
Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Stream:
    """One split on disk: ``tokens`` is a read-only memmap of shape ``(N,)``, separators included."""

    path: Path
    tokens: NDArray[np.unsignedinteger]

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def targets(self) -> int:
        """Tokens that are predicted in one pass: all but the first."""
        return len(self.tokens) - 1


@dataclass(frozen=True)
class Batch:
    """Inputs and next-token labels, both ``(B, T)`` int64; labels of ``-100`` are not trained on."""

    inputs: Ids
    labels: Ids

    @property
    def targets(self) -> int:
        """Tokens of this batch that count."""
        return int((self.labels != IGNORED).sum())


def token_dtype(vocab_size: int) -> str:
    """Little-endian ``uint16`` where the vocabulary allows it, ``uint32`` above; as numpy writes it."""
    return "<u2" if vocab_size <= 2**16 else "<u4"


def write_stream(
    path: Path, documents: Iterable[Iterable[int]], vocab_size: int, separator_id: int = SEPARATOR_ID
) -> tuple[int, int]:
    """Write documents as one packed stream and return ``(tokens, documents)``.

    A separator stands before every document and one after the last.
    """
    dtype = np.dtype(token_dtype(vocab_size))
    separator = np.array([separator_id], dtype).tobytes()
    tokens = count = 0
    with path.open("wb") as file:
        for document in documents:
            packed = np.asarray(list(document), dtype=dtype)
            file.write(separator)
            file.write(packed.tobytes())
            tokens += len(packed) + 1
            count += 1
        file.write(separator)
    return tokens + 1, count


def open_stream(path: Path, dtype: str) -> Stream:
    """Map a stream written by :func:`write_stream`; raises ``UserError`` when it is missing or too short."""
    if not path.is_file():
        raise UserError(f"no token stream at {path}", hint="prepare the data of the recipe again")
    if path.stat().st_size < 2 * np.dtype(dtype).itemsize:
        raise UserError(
            f"the token stream {path} is empty", hint="delete its folder and prepare the data again"
        )
    return Stream(path, np.memmap(path, dtype=dtype, mode="r"))


def window_count(stream: Stream, context: int) -> int:
    """Windows of one epoch; a stream must hold at least one."""
    if stream.targets < context:
        raise UserError(
            f"{stream.path} holds {stream.targets} tokens, fewer than one context of {context}",
            hint="use more text or a shorter context",
        )
    return -(-stream.targets // context)


def window(stream: Stream, index: int, context: int) -> tuple[Ids, Ids]:
    """Window ``index``: inputs ``(T,)`` and labels ``(T,)``.

    The last window is moved back so that it is full; the labels that the window before it has already are
    masked.
    """
    start = index * context
    begin = min(start, stream.targets - context)
    piece = np.asarray(stream.tokens[begin : begin + context + 1], dtype=np.int64)
    labels = piece[1:].copy()
    labels[: start - begin] = IGNORED
    return piece[:-1], labels


@lru_cache(maxsize=4)
def epoch_order(windows: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """The order of ``windows`` windows in one epoch, a permutation that depends on nothing but its arguments.

    Sorting raw generator output, unlike ``Generator.permutation``, is the same in every numpy release.
    """
    keys = np.random.PCG64(derive(seed, "epoch", epoch)).random_raw(windows)
    return np.argsort(keys, kind="stable")


def batch_at(stream: Stream, *, batch_size: int, context: int, step: int, seed: int) -> Batch:
    """The batch of step ``step`` (from 0): ``batch_size`` windows, the same for every design under one seed.

    An epoch that ends inside a batch is followed by the next one, in a new order.
    """
    windows = window_count(stream, context)
    rows = []
    for position in range(step * batch_size, (step + 1) * batch_size):
        epoch, place = divmod(position, windows)
        rows.append(window(stream, int(epoch_order(windows, seed, epoch)[place]), context))
    return Batch(np.stack([row[0] for row in rows]), np.stack([row[1] for row in rows]))


def batches(
    stream: Stream, *, batch_size: int, context: int, step: int = 0, seed: int = 0
) -> Iterator[Batch]:
    """Batches from step ``step`` on, without end."""
    while True:
        yield batch_at(stream, batch_size=batch_size, context=context, step=step, seed=seed)
        step += 1


def evaluation_batches(
    stream: Stream, *, batch_size: int, context: int, tokens: int | None = None
) -> Iterator[Batch]:
    """Windows of a stream in their order: the first ``tokens`` targets, rounded up to whole windows.

    The last batch may have fewer rows.
    """
    windows = window_count(stream, context)
    if tokens is not None:
        windows = min(windows, -(-tokens // context))
    for first in range(0, windows, batch_size):
        rows = [window(stream, index, context) for index in range(first, min(windows, first + batch_size))]
        yield Batch(np.stack([row[0] for row in rows]), np.stack([row[1] for row in rows]))


def unigram_loss(train: Stream, held_out: Stream, vocab_size: int) -> float:
    """Held-out loss, in nats per token, of the training frequencies (one added to each count).

    What a model reaches that has learnt nothing but how often each token occurs.
    """
    counts = _frequencies(train, vocab_size) + 1.0
    asked = _frequencies(held_out, vocab_size)
    return float(-(asked @ np.log(counts / counts.sum())) / asked.sum())


def _frequencies(stream: Stream, vocab_size: int) -> NDArray[np.int64]:
    """How often each token is a target, counted in pieces: ``bincount`` makes eight bytes of each token."""
    counts = np.zeros(vocab_size, np.int64)
    for first in range(1, len(stream.tokens), _PIECE):
        counts += np.bincount(np.asarray(stream.tokens[first : first + _PIECE]), minlength=vocab_size)
    return counts
