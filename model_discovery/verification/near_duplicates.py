"""Near-duplicates of held-out documents, so that none is trained on.

A document is its set of five-word shingles (Lee et al. 2022, arXiv:2107.06499). Two documents are
near-duplicates when the smaller set lies to at least ``threshold`` in the other: that covers the copy with
some words changed as well as the copied article with a footer, where the Jaccard similarity is low. Sets too
small to tell a quotation from a copy are compared by Jaccard similarity.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_discovery.verification.words import Hashes, HashIndex, Places, hash_runs, hash_words

SHINGLE_WORDS = 5
FEWEST_CONTAINED = 20
_BATCH = 256
_BATCH_CHARACTERS = 1_000_000
_PLACE_BITS = 8
_HASH_BITS = 64 - _PLACE_BITS


class NearDuplicates:
    """An index of held-out documents.

    Every shared shingle is counted, exactly: nothing above the threshold is missed. MinHash bands
    (``datasketch``) pay where every document is compared with every other; here many are compared with few,
    they would cost four to six times as much (5 to 6 against 26 to 29 MB/s a core), be estimates,
    and not see containment. Memory: about 30 bytes a held-out word, twice that while the index is built.

    Parameters
    ----------
    documents
        The held-out side.
    threshold
        Least share of shingles in common, in (0, 1].
    """

    def __init__(self, documents: Iterable[str], *, threshold: float = 0.8) -> None:
        from scipy.sparse import csr_array

        if not 0 < threshold <= 1:
            raise ValueError(f"threshold {threshold} is not in (0, 1]")
        self.threshold = threshold
        shingles: list[Hashes] = []
        sizes: list[Places] = []
        for batch in _batched(documents):
            found = _shingle(batch)
            shingles.append(found.hashes)
            sizes.append(found.sizes)
        self._sizes = np.concatenate(sizes) if sizes else np.zeros(0, np.int64)
        every = np.concatenate(shingles) if shingles else np.zeros(0, np.uint64)
        self._index = HashIndex(every)
        self._holders = csr_array(
            (
                np.ones(len(every), np.int32),
                (self._index.rows, np.repeat(np.arange(len(self._sizes)), self._sizes)),
            ),
            shape=(len(self._index.known), len(self._sizes)),
        )

    def __len__(self) -> int:
        return len(self._sizes)

    def matches(self, texts: Sequence[str]) -> list[bool]:
        """For each text, whether it is a near-duplicate of an indexed document."""
        return [bool(hit) for batch in _batched(texts) for hit in self._match(batch)]

    def _match(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        from scipy.sparse import csr_array

        hit = np.zeros(len(texts), np.bool_)
        own = _shingle(texts)
        places, rows = self._index.find(own.hashes)
        text_of = np.repeat(np.arange(len(texts)), own.sizes)[places]
        has = csr_array(
            (np.ones(len(rows), np.int32), (text_of, rows)), shape=(len(texts), len(self._index.known))
        )
        common = (has @ self._holders).tocoo()
        text, document = common.coords
        a, b = own.sizes[text], self._sizes[document]
        smaller = np.minimum(a, b)
        whole = np.where(smaller >= FEWEST_CONTAINED, smaller, a + b - common.data)
        hit[text[common.data >= self.threshold * whole - 1e-9]] = True
        return hit


@dataclass(frozen=True)
class _Shingles:
    """Distinct shingles of several texts, one text after the other, and how many each has."""

    hashes: Hashes
    sizes: Places


def _shingle(texts: Sequence[str]) -> _Shingles:
    """Shingles of at most ``_BATCH`` texts; one shorter than a shingle is a single one, filled up.

    The number of the text takes the upper bits of the hash, so that one sort finds what occurs twice
    (``np.unique`` is fifteen times slower).
    """
    words = hash_words(texts)
    room = np.maximum(words.counts, SHINGLE_WORDS)
    filled = np.zeros(int(room.sum()), np.uint64)
    gaps = np.cumsum(room - words.counts) - (room - words.counts)
    filled[np.arange(len(words.hashes)) + np.repeat(gaps, words.counts)] = words.hashes
    *_, runs = hash_runs(filled, SHINGLE_WORDS)
    left = np.repeat(np.cumsum(room), room)[: len(runs)] - np.arange(len(runs))
    text_of = np.repeat(np.arange(len(texts), dtype=np.uint64), room)[: len(runs)]
    whole = left >= SHINGLE_WORDS
    keys = np.sort(text_of[whole] << np.uint64(_HASH_BITS) | runs[whole] >> np.uint64(_PLACE_BITS))
    keys = keys[np.concatenate(([True], keys[1:] != keys[:-1]))] if len(keys) else keys
    sizes = np.bincount((keys >> np.uint64(_HASH_BITS)).astype(np.int64), minlength=len(texts))
    return _Shingles(keys << np.uint64(_PLACE_BITS), sizes)


def _batched(texts: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    characters = 0
    for text in texts:
        batch.append(text)
        characters += len(text)
        if len(batch) == _BATCH or characters >= _BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch
