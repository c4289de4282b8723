"""The default embedder: TF-IDF of character n-grams, reduced to a few hundred directions by an SVD.

It is fitted on the library's own passages and needs no download. It finds what a search by words misses:
other forms and spellings of a word, and words that occur in the same passages. What is fitted is kept with
the index; later passages are folded in.
"""

import importlib
import io
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from typing import Any

import numpy as np

from model_discovery.library.ngrams import MULTIPLIER, Hashes, ngram_hashes

Matrix = np.ndarray[Any, np.dtype[np.float32]]
Floats = np.ndarray[Any, np.dtype[Any]]

DIMENSIONS = 256
FITTED_PASSAGES = 4_000
FEATURES = 60_000
_TOGETHER = 256
# N-grams that begin alike have hashes that begin alike; multiplied they are spread.
_BEGINNING, _LAST = np.uint64(44), np.uint64(2**64 - 1)


class LexicalSvd:
    """Embeds texts by the n-grams they share with the passages it was fitted on.

    Parameters
    ----------
    hashes
        The n-grams it knows, sorted.
    idf
        Their inverse document frequencies.
    directions
        ``(n-grams, dimensions)``.
    """

    def __init__(self, hashes: Hashes, idf: Floats, directions: Floats) -> None:
        self._hashes = hashes
        self._idf = idf
        self._directions = directions
        mixed = hashes * MULTIPLIER
        self._order = np.argsort(mixed)
        self._mixed = np.append(mixed[self._order], _LAST)
        # Where those that begin with each of 2^20 numbers are: nearly all are looked up in one step.
        beginnings = np.bincount((mixed >> _BEGINNING).astype(np.int64), minlength=1 << 20)
        self._first = np.cumsum(beginnings) - beginnings

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return int(self._directions.shape[1])

    @classmethod
    def fit(
        cls, texts: Iterable[str], count: int, dimensions: int = DIMENSIONS, features: int = FEATURES
    ) -> "LexicalSvd":
        """Learn from ``count`` passages; of more than `FITTED_PASSAGES`, from some at even distances.

        Of more than ``features`` n-grams those of most passages are known.
        """
        step = max(1, -(-count // FITTED_PASSAGES))
        found = [ngram_hashes(text) for text in islice(texts, 0, None, step)]
        hashes, counts = np.unique(np.concatenate([np.unique(row) for row in found]), return_counts=True)
        if len(hashes) > features:
            kept = np.sort(np.lexsort((hashes, -counts))[:features])
            hashes, counts = hashes[kept], counts[kept]
        idf = (np.log((1 + len(found)) / (1 + counts)) + 1).astype(np.float32)
        embedder = cls(hashes, idf, np.zeros((len(hashes), dimensions), dtype=np.float32))
        matrix = embedder._weights(found).tocsr()
        # Rounded as it is kept, so that it embeds alike before and after.
        embedder._directions = _directions(matrix, dimensions).astype(np.float16).astype(np.float32)
        return embedder

    def embed(self, texts: Sequence[str]) -> Matrix:
        """A row of length 1 for every text; zeros for one without a known n-gram."""
        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for start in range(0, len(texts), _TOGETHER):
            piece = texts[start : start + _TOGETHER]
            weights = self._weights([ngram_hashes(text) for text in piece])
            vectors[start : start + _TOGETHER] = weights @ self._directions
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.where(lengths > 0, lengths, 1), dtype=np.float32)

    def to_bytes(self) -> bytes:
        """All it has learned."""
        file = io.BytesIO()
        np.savez(file, hashes=self._hashes, idf=self._idf, directions=self._directions.astype(np.float16))
        return file.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> "LexicalSvd":
        """Read what `to_bytes` wrote."""
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return cls(arrays["hashes"], arrays["idf"], arrays["directions"].astype(np.float32))

    def _weights(self, texts: Sequence[Hashes]) -> Any:
        """A row for the n-grams of every text, of length 1; zeros without a known one.

        By columns, so that a product reads each row of the directions once for all texts.
        """
        from scipy.sparse import csr_matrix

        found = [self._places(hashes) for hashes in texts]
        ends = np.cumsum([0, *map(len, found)])
        times = np.ones(ends[-1], dtype=np.float32)
        shape = (len(texts), len(self._hashes))
        matrix = csr_matrix((times, np.concatenate(found), ends), shape).tocsc()
        matrix.sum_duplicates()
        weights = (1 + np.log(matrix.data)) * np.repeat(self._idf, np.diff(matrix.indptr))
        lengths = np.sqrt(np.bincount(matrix.indices, weights * weights, len(texts)))
        matrix.data = (weights / lengths[matrix.indices]).astype(np.float32)
        return matrix

    def _places(self, hashes: Hashes) -> Floats:
        """Where the known ones among some n-grams are."""
        mixed = hashes * MULTIPLIER
        places = self._first[mixed >> _BEGINNING]
        while (smaller := self._mixed[places] < mixed).any():
            places = places + smaller
        known = (self._mixed[places] == mixed) & (places < len(self._order))
        return np.asarray(self._order[places[known]])


def _directions(matrix: Any, dimensions: int) -> Floats:
    """The right singular vectors of the largest singular values, one a column; zeros where there are fewer.

    The largest entry of each is positive, so that the same passages give the same vectors.
    """
    from scipy.sparse.linalg import svds

    found = np.zeros((matrix.shape[1], dimensions))
    rank = min(dimensions, min(matrix.shape) - 1)
    if rank < 1:
        return found
    with _one_thread():
        _, values, vectors = svds(matrix, k=rank, v0=np.ones(min(matrix.shape)))
    vectors = vectors[np.argsort(-values, kind="stable")]
    signs = np.sign(vectors[np.arange(rank), np.abs(vectors).argmax(axis=1)])
    found[:, :rank] = (vectors * signs[:, None]).T
    return found


def _one_thread() -> AbstractContextManager[Any]:
    """More threads make the many small products of an SVD slower on a busy machine."""
    try:
        return importlib.import_module("threadpoolctl").threadpool_limits(1)  # type: ignore[no-any-return]
    except ImportError:
        return nullcontext()
