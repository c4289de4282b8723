"""A closer look at the best candidates: TF-IDF over all their words, nothing left out and nothing reduced.

The vectors keep a few hundred directions, and of a long query the index looks up the rarest words only. For
the few passages that both have found, the whole comparison is cheap.
"""

from collections.abc import Sequence

import numpy as np

from model_discovery.library.frequencies import Frequencies
from model_discovery.library.ngrams import counted_stems, words_of_query
from model_discovery.library.store import Store


def closest(store: Store, frequencies: Frequencies, query: str, candidates: Sequence[int]) -> list[int]:
    """The candidates by the cosine of their word weights with the query's, nearest first."""
    passages = store.stems_of(candidates)
    if not passages:
        return []
    asked, times_asked = counted_stems(words_of_query(query))
    owner = np.repeat(np.arange(len(passages)), [len(stems) for stems, _ in passages.values()])
    stems, place = np.unique(
        np.concatenate([asked, *(stems for stems, _ in passages.values())]), return_inverse=True
    )
    idf = np.log((1 + store.passages_in_all()) / (1 + frequencies.of(stems))) + 1
    wanted = np.zeros(len(stems))
    wanted[place[: len(asked)]] = (1 + np.log(times_asked)) * idf[place[: len(asked)]]
    place = place[len(asked) :]
    weights = (1 + np.log(np.concatenate([times for _, times in passages.values()]))) * idf[place]
    lengths = np.sqrt(np.bincount(owner, weights * weights, len(passages)))
    scores = np.bincount(owner, weights * wanted[place], len(passages)) / np.where(lengths > 0, lengths, 1)
    ranked = sorted(zip((-scores).tolist(), passages, strict=True))
    return [id_ for _, id_ in ranked]
