"""The default embedder: TF-IDF of words and character n-grams, reduced to a few hundred directions by SVD.

It is fitted on the library's own passages, needs no download, and places words that occur together (and
spellings of one word) near each other. What is fitted is kept with the index; later passages are folded in.
"""

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model_discovery.library.ngrams import Hashes, ngram_hashes, word_hashes

Matrix = np.ndarray[Any, np.dtype[np.float32]]
Floats = np.ndarray[Any, np.dtype[Any]]

DIMENSIONS = 256
FITTED_PASSAGES = 8_000
FEATURES = 60_000
_KINDS: tuple[Callable[[str], Hashes], ...] = (word_hashes, ngram_hashes)


@dataclass(frozen=True)
class Vocabulary:
    """The features of one kind that are known: their hashes (sorted) and inverse document frequencies."""

    hashes: Hashes
    idf: Matrix

    @classmethod
    def of(cls, texts: Sequence[Hashes], most: int = FEATURES) -> "Vocabulary":
        """The features of some texts; of more than ``most`` those of most texts."""
        each = [np.unique(text) for text in texts]
        hashes, counts = np.unique(np.concatenate(each), return_counts=True)
        if len(hashes) > most:
            kept = np.sort(np.lexsort((hashes, -counts))[:most])
            hashes, counts = hashes[kept], counts[kept]
        idf = np.log((1 + len(texts)) / (1 + counts)) + 1
        return cls(hashes, idf.astype(np.float32))

    def weights(self, text: Hashes) -> tuple[Floats, Floats]:
        """Places of a text's known features, and their weights; the weights have length 1."""
        features, counts = np.unique(text, return_counts=True)
        places = np.minimum(np.searchsorted(self.hashes, features), len(self.hashes) - 1)
        known = self.hashes[places] == features
        places = places[known]
        weights = (1 + np.log(counts[known])) * self.idf[places]
        return places, weights / (np.linalg.norm(weights) or 1.0)


class LexicalSvd:
    """Embeds texts by the words and n-grams they share with the passages it was fitted on."""

    def __init__(self, vocabularies: Sequence[Vocabulary], directions: Floats) -> None:
        self._vocabularies = tuple(vocabularies)
        self._directions = directions

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return int(self._directions.shape[1])

    @classmethod
    def fit(cls, texts: Sequence[str], dimensions: int = DIMENSIONS) -> "LexicalSvd":
        """Learn from passages; of more than `FITTED_PASSAGES`, from as many at even distances."""
        step = max(1, -(-len(texts) // FITTED_PASSAGES))
        sample = texts[::step]
        hashed = [[kind(text) for text in sample] for kind in _KINDS]
        vocabularies = [Vocabulary.of(texts) for texts in hashed]
        offsets = _offsets(vocabularies)
        rows = [
            _row(vocabularies, offsets, [hashed[kind][i] for kind in range(len(_KINDS))])
            for i in range(len(sample))
        ]
        directions = _directions(_sparse(rows, offsets[-1]), dimensions)
        return cls(vocabularies, directions.astype(np.float16))

    def embed(self, texts: Iterable[str]) -> Matrix:
        """A row of length 1 for every text; zeros for one without a known feature."""
        offsets = _offsets(self._vocabularies)
        vectors = []
        for text in texts:
            places, weights = _row(self._vocabularies, offsets, [kind(text) for kind in _KINDS])
            vector = weights.astype(np.float32) @ self._directions[places].astype(np.float32)
            vectors.append(vector / (np.linalg.norm(vector) or 1.0))
        return np.array(vectors, dtype=np.float32).reshape(-1, self.dimensions)

    def to_bytes(self) -> bytes:
        """All it has learned."""
        arrays: dict[str, Any] = {f"hashes{i}": one.hashes for i, one in enumerate(self._vocabularies)}
        arrays |= {f"idf{i}": one.idf for i, one in enumerate(self._vocabularies)}
        file = io.BytesIO()
        np.savez(file, directions=self._directions, **arrays)
        return file.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> "LexicalSvd":
        """Read what `to_bytes` wrote."""
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            vocabularies = [Vocabulary(arrays[f"hashes{i}"], arrays[f"idf{i}"]) for i in range(len(_KINDS))]
            return cls(vocabularies, arrays["directions"])


def _offsets(vocabularies: Sequence[Vocabulary]) -> list[int]:
    return [0, *np.cumsum([len(one.hashes) for one in vocabularies]).tolist()]


def _row(
    vocabularies: Sequence[Vocabulary], offsets: Sequence[int], hashed: Sequence[Hashes]
) -> tuple[Floats, Floats]:
    parts = [vocabulary.weights(text) for vocabulary, text in zip(vocabularies, hashed, strict=True)]
    places = np.concatenate([part[0] + offset for part, offset in zip(parts, offsets, strict=False)])
    return places, np.concatenate([part[1] for part in parts])


def _sparse(rows: Sequence[tuple[Floats, Floats]], columns: int) -> Any:
    from scipy.sparse import csr_matrix

    ends = np.cumsum([0, *(len(places) for places, _ in rows)])
    places = np.concatenate([places for places, _ in rows])
    weights = np.concatenate([weights for _, weights in rows]).astype(np.float32)
    return csr_matrix((weights, places, ends), (len(rows), columns))


def _directions(matrix: Any, dimensions: int) -> Floats:
    """The right singular vectors of the largest singular values, one a column, each with its largest entry
    positive; zeros where there are fewer.
    """
    from scipy.sparse.linalg import svds

    rank = min(dimensions, min(matrix.shape) - 1)
    found = np.zeros((matrix.shape[1], dimensions))
    if rank < 1:
        return found
    _, values, vectors = svds(matrix, k=rank, v0=np.ones(min(matrix.shape)))
    vectors = vectors[np.argsort(-values, kind="stable")]
    largest = np.abs(vectors).argmax(axis=1)
    signs = np.sign(vectors[np.arange(rank), largest])
    found[:, :rank] = (vectors * signs[:, None]).T
    return found
